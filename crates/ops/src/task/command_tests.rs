#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::task::steer::increase_attempts;
use crate::testing::{World, alice, bob, prod};
use panda_core::file::{FileRole, FileState};

use serde_json::json;

async fn row(w: &World) -> TaskCommand {
    task::transition::commands(&w.ops.store, TaskId(0), 10).await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn kill_needs_the_owner_and_a_live_task() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, "{}").await;
    assert!(matches!(kill(&w.ops, &bob(), id).await, Err(OpsError::Denied(_))));
    let answer = kill(&w.ops, &alice(), id).await.unwrap();
    assert_eq!((answer.code, answer.taken()), (0, true));
    assert_eq!(answer.message, format!("command=kill is registered for task ID {id}. will be executed in a few minutes"));
    assert_eq!(w.task_row(id).await.state, TaskState::Aborting);
    assert_eq!(row(&w).await.command, "kill");
    let answer = kill(&w.ops, &alice(), id).await.unwrap();
    assert_eq!(answer.code, 4);
    assert!(matches!(kill(&w.ops, &alice(), TaskId(99_000_000)).await, Err(OpsError::Denied(_))));
    assert_eq!(kill(&w.ops, &prod(), TaskId(99_000_000)).await.unwrap().code, 2);
}

#[tokio::test]
async fn finish_softly_then_hard() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, "{}").await;
    assert_eq!(finish(&w.ops, &alice(), id, true).await.unwrap().code, 0);
    assert_eq!(row(&w).await.doc.as_deref(), Some(r#"{"soft":true}"#));
    assert_eq!(finish(&w.ops, &alice(), id, false).await.unwrap().code, 0);
    assert_eq!(row(&w).await.doc, None);
    assert_eq!(w.task_row(id).await.state, TaskState::Finishing);
}

#[tokio::test]
async fn pause_and_resume_lead_back() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Scouting, "{}").await;
    assert_eq!(pause(&w.ops, &alice(), id).await.unwrap().code, 0);
    let t = w.task_row(id).await;
    assert_eq!((t.state, t.prev_state), (TaskState::Paused, Some(TaskState::Scouting)));
    assert_eq!(pause(&w.ops, &alice(), id).await.unwrap().code, 4);
    assert_eq!(resume(&w.ops, &alice(), id).await.unwrap().code, 0);
    let t = w.task_row(id).await;
    assert_eq!((t.state, t.prev_state, t.command.as_deref()), (TaskState::Scouting, None, Some("resume")));
    assert_eq!(resume(&w.ops, &alice(), id).await.unwrap().code, 4);
}

#[tokio::test]
async fn retry_by_state() {
    let w = World::new().await;
    let failed = w.task(&alice(), TaskState::Failed, "{}").await;
    assert_eq!(retry(&w.ops, &alice(), failed, &Retry::default()).await.unwrap().code, 0);
    assert_eq!(w.task_row(failed).await.state, TaskState::Toretry);
    let running = w.task(&alice(), TaskState::Running, "{}").await;
    let answer = retry(&w.ops, &alice(), running, &Retry::default()).await.unwrap();
    assert_eq!((answer.code, answer.message.as_str()), (0, "retry has been triggered for failed jobs while the task is still running"));
    assert_eq!(w.task_row(running).await.state, TaskState::Running);
    assert_eq!(row(&w).await.doc.as_deref(), Some(r#"{"in_place":true}"#));
    let done = w.task(&alice(), TaskState::Done, "{}").await;
    assert_eq!(retry(&w.ops, &alice(), done, &Retry::default()).await.unwrap().code, 4);
}

#[tokio::test]
async fn retry_with_new_parameters_answers_three() {
    let w = World::new().await;
    let params = json!({"taskName": "t", "nFiles": 1, "excludedSite": ["Z"], "noInput": true, "jobParameters": [{"type": "constant", "value": "x"}]});
    let text = params.to_string();
    let id = w.task(&alice(), TaskState::Finished, &text).await;
    let new = |v: Value| Retry { new_parameters: v.as_object().cloned(), ..Retry::default() };
    let args = new(json!({"excludedSite": "A,B", "nFiles": null, "loopingCheck": false}));
    assert_eq!(retry(&w.ops, &alice(), id, &args).await.unwrap().code, 3);
    assert_eq!(w.task_row(id).await.state, TaskState::Toincexec);
    let stored = task::list::params(&w.ops.store, id).await.unwrap().unwrap();
    let mut expected = params;
    expected.as_object_mut().unwrap().remove("nFiles");
    expected["excludedSite"] = "A,B".into();
    expected["noLoopingCheck"] = true.into();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), expected);
    let running = w.task(&alice(), TaskState::Running, &text).await;
    assert_eq!(retry(&w.ops, &alice(), running, &new(json!({"nFiles": 3}))).await.unwrap().code, 3);
    assert!(retry(&w.ops, &alice(), running, &new(json!({"nFiles": "many"}))).await.unwrap_err().to_string().contains("nFiles"));
    let refused = retry(&w.ops, &alice(), running, &new(json!({"useZipToPin": true}))).await.unwrap_err().to_string();
    assert!(refused.starts_with("new_parameters: parameter `useZipToPin`: (split rule UZ) has no effect here:"), "{refused}");
    assert!(retry(&w.ops, &alice(), running, &new(json!({"taskName": "u"}))).await.unwrap_err().to_string().contains("taskName"));
}

#[tokio::test]
async fn steering_needs_production() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Scouting, "{}").await;
    assert!(matches!(avalanche(&w.ops, &alice(), id).await, Err(OpsError::Denied(_))));
    assert_eq!(avalanche(&w.ops, &prod(), id).await.unwrap().code, 0);
    assert_eq!(w.task_row(id).await.state, TaskState::Running);
    assert_eq!(release(&w.ops, &prod(), id).await.unwrap().code, 0);
    assert_eq!(reactivate(&w.ops, &prod(), id, false, false).await.unwrap().code, 1);
    let pending = w.task(&alice(), TaskState::Pending, "{}").await;
    assert_eq!(release(&w.ops, &prod(), pending).await.unwrap().code, 0);
    assert_eq!(w.task_row(pending).await.state, TaskState::Defined);
    let ended = w.task(&alice(), TaskState::Aborted, "{}").await;
    assert_eq!(reactivate(&w.ops, &prod(), ended, true, false).await.unwrap().code, 0);
    assert_eq!(w.task_row(ended).await.state, TaskState::Ready);
    assert_eq!(reload_input(&w.ops, &alice(), ended, false).await.unwrap().code, 4);
}

#[tokio::test]
async fn more_attempts_at_once() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, "{}").await;
    let d = w.dataset(id, FileRole::Input, 0, &[("a", FileState::Ready), ("b", FileState::Finished)]).await;
    assert!(increase_attempts(&w.ops, &prod(), id, -1).await.unwrap_err().to_string().contains("got -1"));
    assert_eq!(increase_attempts(&w.ops, &prod(), id, 4).await.unwrap().code, 0);
    let files = task::file::page(&w.ops.store, d, 0, 10).await.unwrap();
    assert_eq!(files.iter().map(|f| f.max_attempt).collect::<Vec<_>>(), [7, 3]);
}

/// What a submission does not let a user name, a retry does not either.
#[tokio::test]
async fn a_retry_with_a_share_needs_the_role() {
    let w = World::new().await;
    let id = w
        .task(
            &alice(),
            TaskState::Finished,
            r#"{"taskName":"t","noInput":true,"nEvents":1,"jobParameters":[{"type":"constant","value":"x"}]}"#,
        )
        .await;
    let args = Retry { new_parameters: json!({"gshare": "Express"}).as_object().cloned(), ..Retry::default() };
    assert!(matches!(retry(&w.ops, &alice(), id, &args).await, Err(OpsError::Denied(_))));
    assert_eq!(w.task_row(id).await.state, TaskState::Finished);
    assert_eq!(retry(&w.ops, &prod(), id, &args).await.unwrap().code, CODE_NEW_PARAMETERS);
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::task::plan::Adjust;
use crate::testing::{World, alice, prod};
use panda_core::{file::FileRole, task::state::TaskState};

#[tokio::test]
async fn attempts_make_lost_files_ready_while_the_task_works() {
    let w = World::new().await;
    for (state, ready) in [(TaskState::Running, true), (TaskState::Failed, false)] {
        let id = w.task(&alice(), state, "{}").await;
        let d = w.dataset(id, FileRole::Input, 0, &[("a", FileState::Failed), ("b", FileState::Finished)]).await;
        assert_eq!(increase_attempts(&w.ops, &prod(), id, 2).await.unwrap().code, 0);
        let file = task::file::page(&w.ops.store, d, 0, 1).await.unwrap().remove(0);
        assert_eq!((file.state == FileState::Ready, file.max_attempt), (ready, 5), "{state}");
        let sets = task::dataset::of_task(&w.ops.store, id).await.unwrap();
        assert_eq!((sets[0].n_used, sets[0].n_failed), if ready { (1, 0) } else { (2, 1) }, "{state}");
    }
    let id = w.task(&alice(), TaskState::Running, "{}").await;
    for wrong in [-1, MAX_INCREASE + 1] {
        assert!(increase_attempts(&w.ops, &prod(), id, wrong).await.unwrap_err().to_string().contains(&format!("got {wrong}")));
    }
    assert!(matches!(increase_attempts(&w.ops, &crate::testing::bob(), id, 1).await, Err(OpsError::Denied(_))));
}

#[tokio::test]
async fn the_instant_that_rules_count_from_is_shifted() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Pending, "{}").await;
    assert_eq!(change_modification_time(&w.ops, &prod(), id, -24).await.unwrap().code, 0);
    let t = w.task_row(id).await;
    assert_eq!((t.modified_us, t.state_us), (w.ops.now().0 - 86_400_000_000, w.ops.now().0 - 86_400_000_000));
    assert!(change_modification_time(&w.ops, &prod(), id, 9_000).await.unwrap_err().to_string().contains("beyond a year"));
}

#[tokio::test]
async fn what_is_released_does_not_hold_again() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Pending, "{}").await;
    super::super::command::release(&w.ops, &prod(), id).await.unwrap();
    let stored = task::list::doc(&w.ops.store, id).await.unwrap().and_then(|(_, adjust)| adjust);
    let adjust = Adjust::parse(stored.as_deref()).unwrap();
    assert!(adjust.is_released("parent") && adjust.is_released("staging") && !adjust.is_released("broker"));
}

#[tokio::test]
async fn a_rule_commands_in_the_name_of_the_owner() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, "{}").await;
    let before = w.task_row(id).await;
    assert!(by_rule(&w.ops, &before, Command::Pause, Map::new(), Actor::Watcher, "it fails").await.unwrap());
    let t = w.task_row(id).await;
    assert_eq!((t.state, t.prev_state, t.reason.as_deref()), (TaskState::Paused, Some(TaskState::Running), Some("it fails")));
    let row = task::transition::commands(&w.ops.store, TaskId(0), 10).await.unwrap().remove(0);
    assert_eq!((row.command.as_str(), row.person_id, row.doc.as_deref()), ("pause", before.person_id, Some(r#"{"rule":"it fails"}"#)));
    assert!(!by_rule(&w.ops, &before, Command::Kill, Map::new(), Actor::Watcher, "late").await.unwrap(), "somebody else was first");
    assert!(!by_rule(&w.ops, &t, Command::Pause, Map::new(), Actor::Watcher, "again").await.unwrap(), "its state does not take it");
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::{World, alice, operator, prod};
use panda_core::setting::task::{ATTEMPTS, PRIORITY, RAM_MB};
use panda_store::query::queue::QueueRow;
use serde_json::json;

/// A task of four jobs without input, with `more` over it.
fn params(name: &str, more: &Value) -> Value {
    let mut task = json!({
        "taskName": name, "vo": "amber", "prodSourceLabel": "user", "noInput": true, "nEvents": 4, "nEventsPerJob": 1,
        "jobParameters": [{"type": "constant", "value": "x"}],
    });
    task.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    task
}

async fn row(w: &World, who: &Principal, name: &str, more: &Value) -> TaskRow {
    let submitted = submit(&w.ops, who, params(name, more), None).await.unwrap();
    w.task_row(submitted.task_id).await
}

/// `spec/client.md` 7.1, `spec/engine.md` 20.1: the server sets the priority of users' tasks.
#[tokio::test]
async fn priorities_are_the_labels_unless_production_says_more() {
    let w = World::new().await;
    w.queue("A").await;
    assert_eq!(row(&w, &alice(), "a", &json!({})).await.priority, 1_000);
    assert_eq!(row(&w, &alice(), "b", &json!({"taskPriority": 5_000})).await.priority, 1_000);
    assert_eq!(row(&w, &alice(), "c", &json!({"currentPriority": 10})).await.priority, 10);
    assert_eq!(row(&w, &prod(), "d", &json!({"taskPriority": 5_000})).await.priority, 5_000);
    assert_eq!(row(&w, &prod(), "e", &json!({"prodSourceLabel": "managed"})).await.priority, 0);
    crate::setting::set(&w.ops, &operator(), PRIORITY.name, "amber", "user", "700").await.unwrap();
    assert_eq!(row(&w, &alice(), "f", &json!({"taskPriority": 900})).await.priority, 700);
}

#[tokio::test]
async fn defaults_of_the_vo_stay_with_the_task() {
    let w = World::new().await;
    w.queue("A").await;
    let plain = row(&w, &alice(), "a", &json!({})).await;
    for (setting, value) in [(&ATTEMPTS, "7"), (&RAM_MB, "1500")] {
        crate::setting::set(&w.ops, &operator(), setting.name, "amber", "", value).await.unwrap();
    }
    let own = row(&w, &alice(), "b", &json!({})).await;
    let doc = async |id| task::list::doc(&w.ops.store, id).await.unwrap().unwrap().1;
    assert_eq!((doc(plain.id).await, doc(own.id).await.as_deref()), (None, Some(r#"{"default_attempts":7,"default_ram_mb":1500}"#)));
}

/// engine.md 20.1: MAX_ACTIVE_TASKS_PER_USER_<label>.
#[tokio::test]
async fn active_tasks_of_a_label_are_capped() {
    let w = World::new().await;
    w.queue("A").await;
    let send = async |name: &str| submit(&w.ops, &alice(), params(name, &json!({"uniqueTaskName": true})), None).await;
    send("user.alice.1").await.unwrap();
    crate::setting::set(&w.ops, &operator(), "cap.active_tasks_per_user", "", "user", "1").await.unwrap();
    let OpsError::Refused { code, message } = send("user.alice.2").await.unwrap_err() else { panic!("another error") };
    assert_eq!((code, message.as_str()), (Some(10), "too many active tasks of label user: 1 of at most 1; wait until some have ended"));
    crate::setting::set(&w.ops, &operator(), "cap.active_tasks_per_user", "", "user", "2").await.unwrap();
    send("user.alice.2").await.unwrap();
}

/// engine.md 9.1: the share of a task comes from rules, or it is named by who may.
#[tokio::test]
async fn a_named_share_needs_a_role_and_a_leaf() {
    let w = World::new().await;
    w.queue("A").await;
    for (name, values) in [("A", json!({"value": 50, "label": "user"})), ("B", json!({"value": 50}))] {
        share::change::set(&w.ops, &operator(), name, values.as_object().unwrap()).await.unwrap();
    }
    let by_rule = submit(&w.ops, &alice(), params("user.alice.1", &json!({})), None).await.unwrap().task_id;
    assert_eq!(w.task_row(by_rule).await.share_name.as_deref(), Some("A"));
    let named = |share: &str| json!({ "gshare": share });
    let refused = submit(&w.ops, &alice(), params("user.alice.2", &named("B")), None).await.unwrap_err().to_string();
    assert!(refused.contains("to name a share needs the production role"), "{refused}");
    let refused = submit(&w.ops, &prod(), params("user.prod.2", &named("C")), None).await.unwrap_err().to_string();
    assert!(refused.contains("share `C` does not exist or has parts"), "{refused}");
    let by_name = submit(&w.ops, &prod(), params("user.prod.2", &named("B")), None).await.unwrap().task_id;
    assert_eq!(w.task_row(by_name).await.share_name.as_deref(), Some("B"));
}

/// What no queue can ever take is refused with what each lacks and what would free it; what one could take later is accepted.
#[tokio::test]
async fn what_no_queue_can_ever_take_is_refused() {
    let w = World::new().await;
    let send = async |name: &str, more: Value| submit(&w.ops, &alice(), params(name, &more), None).await;
    let refused = async |more: Value| {
        let OpsError::Refused { code, message } = send("user.alice.t", more).await.unwrap_err() else { panic!("another error") };
        assert_eq!(code, Some(code::FAULTY));
        message
    };
    assert_eq!(refused(json!({})).await, "failed to register task: there is no queue; add one with `panda queue add NAME`");
    w.queue("A").await;
    send("user.alice.1", json!({})).await.unwrap();
    let set = async |values: Value| crate::queue::change::set(&w.ops, &operator(), "A", values.as_object().unwrap()).await.unwrap();
    for (more, why) in [
        (json!({"ramCount": 9_000}), "1 not for jobs of 9000 MB of memory (A); with 4444 MB of memory instead of 9000: 1 more queue (A)"),
        (json!({"coreCount": 8}), "1 not for jobs of 8 cores (A)"),
        (json!({"site": "B"}), "1 not asked for (A); without a list of queues to use: 1 more queue (A)"),
        (json!({"cloud": "X"}), "1 not in the cloud X (A); in any cloud: 1 more queue (A)"),
    ] {
        let message = refused(more).await;
        assert!(message.starts_with(&format!("failed to register task: no queue of 1 can take it: {why}")), "{message}");
    }
    set(json!({"vo_name": "flint"})).await;
    assert!(refused(json!({})).await.contains("1 not open to amber (A); if they were open to the VO: 1 more queue (A)"));
    // Out of order is not for ever.
    set(json!({"vo_name": null, "state": "offline"})).await;
    send("user.alice.2", json!({})).await.unwrap();
    // Another process's change counts at once, where it would be refused.
    let big = json!({"ramCount": 9_000});
    refused(big.clone()).await;
    let mut row = QueueRow::clone(&w.ops.queue("A").await.unwrap().unwrap());
    row.max_ram_mb = 10_000;
    let mut batch = Batch::new();
    panda_store::query::queue::set(&mut batch, &row, w.ops.now().0);
    w.ops.store.apply(batch).await.unwrap();
    send("user.alice.3", big).await.unwrap();
}

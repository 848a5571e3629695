#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::{World, alice, prod};
use panda_core::setting::task::{ATTEMPTS, RAM_MB};
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
    crate::setting::set(&w.ops, &prod(), PRIORITY.name, "amber", "user", "700").await.unwrap();
    assert_eq!(row(&w, &alice(), "f", &json!({"taskPriority": 900})).await.priority, 700);
}

#[tokio::test]
async fn defaults_of_the_vo_stay_with_the_task() {
    let w = World::new().await;
    w.queue("A").await;
    let plain = row(&w, &alice(), "a", &json!({})).await;
    for (setting, value) in [(&ATTEMPTS, "7"), (&RAM_MB, "1500")] {
        crate::setting::set(&w.ops, &prod(), setting.name, "amber", "", value).await.unwrap();
    }
    let own = row(&w, &alice(), "b", &json!({})).await;
    let doc = async |id| task::list::doc(&w.ops.store, id).await.unwrap().unwrap().1;
    assert_eq!((doc(plain.id).await, doc(own.id).await.as_deref()), (None, Some(r#"{"default_attempts":7,"default_ram_mb":1500}"#)));
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::{World, alice, bob};
use panda_core::file::{FileRole, FileState};
use serde_json::json;

const PARAMS: &str = r#"{"cliParams":"prun x","nFilesPerJob":2,"jobParameters":[{"type":"constant","value":"-a 1"},{"type":"constant","value":"hid","hidden":true}]}"#;

#[tokio::test]
async fn everything_about_a_task() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, PARAMS).await;
    w.dataset(id, FileRole::Input, 0, &[("a", FileState::Finished), ("b", FileState::Failed), ("c", FileState::Ready)]).await;
    let info = detailed(&w.ops, &bob(), id).await.unwrap();
    let part = |keys: &[&str]| keys.iter().map(|k| info[*k].clone()).collect::<Value>();
    assert_eq!(part(&["jediTaskID", "reqID", "status", "superStatus", "userName"]), json!([id.0, id.0, "running", "running", "alice"]));
    assert_eq!(part(&["nFiles", "nFilesFinished", "nFilesFailed", "pctFinished", "pctFailed"]), json!([3, 1, 1, 33, 33]));
    assert_eq!(part(&["task_creation_arguments", "job_execution_params", "splitRule"]), json!(["prun x", "-a 1", {"nFilesPerJob": 2}]));
    assert_eq!((&info["splitRuleText"], &info["gshare"]), (&json!("NF=2"), &Value::Null));
    assert_eq!(info["creationDate"], json!({"__datetime__": "2026-01-02T03:04:05"}));
    assert_eq!(info["raw_task_params"]["nFilesPerJob"], 2);
    assert_eq!(parent_detailed(&w.ops, &bob(), id).await.unwrap_err().to_string(), "No parent task found");
    assert_eq!(detailed(&w.ops, &bob(), TaskId(1)).await.unwrap_err().to_string(), "Task not found or error retrieving task info");
}

#[tokio::test]
async fn lists_are_the_callers_own() {
    let w = World::new().await;
    let a = w.task(&alice(), TaskState::Running, PARAMS).await;
    let b = w.task(&alice(), TaskState::Done, PARAMS).await;
    let c = w.task(&bob(), TaskState::Done, PARAMS).await;
    let ask = async |since: Option<&str>, filters: Value| {
        let filters = (!filters.is_null()).then(|| filters.to_string());
        let found = detailed_since(&w.ops, &alice(), since, filters.as_deref(), 100).await.unwrap();
        found.iter().map(|t| t["jediTaskID"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ask(None, Value::Null).await, [b.0, a.0]);
    assert_eq!(ask(None, json!({"status": "done|failed"})).await, [b.0]);
    assert_eq!(ask(None, json!({"superStatus": "running"})).await, [a.0]);
    assert_eq!(ask(None, json!({"userName": "bob"})).await, [c.0]);
    assert_eq!(ask(None, json!({"jediTaskID": c.0.to_string()})).await, [0; 0]);
    assert_eq!(ask(Some("2026-01-03 00:00:00"), Value::Null).await, [0; 0]);
    assert_eq!(ask(Some("2026-01-03 00:00:00"), json!({"reqID": a.0.to_string()})).await, [a.0]);
    assert_eq!(ask(None, json!({"nFiles": "[0-9]"})).await, [b.0, a.0]);
    assert!(detailed_since(&w.ops, &alice(), Some("yesterday"), None, 5).await.is_err());
    let since = modified_since(&w.ops, &alice(), "2026-01-01 00:00:00", None, true, Some(b.0), "user").await.unwrap();
    assert_eq!(since.as_object().unwrap().keys().collect::<Vec<_>>(), [&b.0.to_string()]);
    assert_eq!(since[b.0.to_string()]["status"], "done");
}

/// `spec/engine.md` 5.2: the columns that upstream fills from the parameters, with its defaults.
#[tokio::test]
async fn columns_have_the_refiners_defaults() {
    let w = World::new().await;
    let params = json!({"taskName": "t", "noInput": true, "goal": 95, "osInfo": "Linux", "gshare": "Quick", "coreCount": 8,
        "jobParameters": [{"type": "constant", "value": "x"}]});
    let id = w.task(&alice(), TaskState::Running, &params.to_string()).await;
    let info = detailed(&w.ops, &bob(), id).await.unwrap();
    let expected = json!({"coreCount": 8, "ramCount": 2000, "ramUnit": "MBPerCore", "baseRamCount": 0, "walltime": 0, "baseWalltime": 600,
        "cpuEfficiency": 90, "goal": 950, "gshare": "Quick", "resource_type": "MCORE", "termCondition": "Linux", "eventService": 0});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&info[key], value, "{key}");
    }
}

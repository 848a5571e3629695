//! The binder by itself, over rows made for the purpose.

use super::*;
use crate::methods::{Space, find};
use serde_json::json;

fn bound(path: &str, given: Given, is_get: bool) -> Result<Value, String> {
    let (_, method) = find(Space::V1, path).unwrap();
    bind(method, given, is_get).map(|args| Value::Object(args.into_object()))
}

fn query(path: &str, text: &str) -> Result<Value, String> {
    bound(path, Given::Pairs(crate::query::pairs(text.as_bytes())), true)
}

fn body(path: &str, value: Value) -> Result<Value, String> {
    bound(path, Given::Object(value.as_object().unwrap().clone()), false)
}

#[test]
fn queries_are_cast() {
    for (text, want) in [("task_id=5", 5), ("task_id=1e3", 1000), ("task_id=3.7", 3), ("task_id=+7", 7)] {
        assert_eq!(query("task/get_status", text), Ok(json!({"task_id": want})), "{text}");
    }
    assert!(query("task/get_status", "task_id=").is_err());
    assert_eq!(query("task/get_details", "task_id=1&include_status=TRUE&include_parameters=0").unwrap()["include_status"], true);
    assert_eq!(query("job/get_status", "job_ids=1&job_ids=2").unwrap()["job_ids"], json!([1, 2]));
    assert_eq!(query("job/get_status", "job_ids=7").unwrap()["job_ids"], json!([7]));
    assert_eq!(query("job/get_status", "job_ids=(1,%202)").unwrap()["job_ids"], json!([1, 2]));
    assert!(query("job/get_status", "job_ids=1&job_ids=x").is_err());
    // `None` is null where null is the default, and a text where it is not.
    let modified =
        query("task/get_tasks_modified_since", "since=2026-01-01&dn=None&full=True&min_task_id=None&prod_source_label=None").unwrap();
    assert_eq!(modified, json!({"since": "2026-01-01", "full": true, "prod_source_label": "None"}));
}

#[test]
fn bodies_are_strict_unless_said_otherwise() {
    assert_eq!(body("task/kill", json!({"task_id": "5"})), Ok(json!({"task_id": 5})));
    assert_eq!(body("task/kill", json!({"task_id": 5.0})), Ok(json!({"task_id": 5})));
    assert_eq!(body("task/kill", json!({"task_id": true})), Ok(json!({"task_id": true})));
    assert_eq!(body("task/kill", json!({"task_id": "x"})), Err("Type error: 'task_id' must be of type int, got str.".to_owned()));
    assert_eq!(body("task/kill", json!({"task_id": null})), Err("Type error: 'task_id' must be of type int, got NoneType.".to_owned()));
    assert_eq!(
        body("task/kill", json!({"task_id": 5, "broadcast": 1})),
        Err("Type error: 'broadcast' must be of type bool, got int.".to_owned())
    );
    assert_eq!(body("task/kill", json!({"task_id": 5, "broadcast": null})), Ok(json!({"task_id": 5})));
    let update = body(
        "pilot/update_job",
        json!({"job_id": "7", "job_status": "running", "mean_core_count": "1.5", "max_rss": 3, "attempt_nr": "NULL", "x": 1}),
    );
    assert_eq!(update, Ok(json!({"job_id": 7, "job_status": "running", "mean_core_count": 1.5, "max_rss": 3})));
}

#[test]
fn defaults_come_from_the_table() {
    let (_, method) = find(Space::V1, "task/get_datasets_and_files").unwrap();
    let args = bind(method, Given::Pairs(vec![("task_id".into(), "1".into())]), true).unwrap();
    assert_eq!(args.texts("dataset_types").unwrap(), ["input", "pseudo_input"]);
    assert!(!args.flag("dataset_only"));
    assert_eq!((args.id("task_id"), args.int("task_id")), (1, Some(1)));
    let (_, method) = find(Space::V1, "task/get_tasks_detailed_info_since").unwrap();
    let args = Args::empty(method);
    assert_eq!((args.int("n_tasks"), args.text("since")), (Some(500), None));
}

#[test]
fn anything_is_bound_or_refused() {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("NULL"),
        json!("x"),
        json!([]),
        json!([null]),
        json!({}),
        json!(u64::MAX),
    ];
    for method in crate::methods::all() {
        for value in &values {
            let map: Map<String, Value> = method.params.iter().map(|p| (p.name.to_owned(), value.clone())).collect();
            drop(bind(method, Given::Object(map.clone()), false));
            drop(bind_leniently(method, map));
            let pairs = method.params.iter().map(|p| (p.name.to_owned(), value.to_string())).collect();
            drop(bind(method, Given::Pairs(pairs), true));
        }
    }
}

//! What steers jobs and tasks that are under way, and what counts them.

use crate::support::{Server, get, post, server};
use insta::assert_snapshot;
use panda_store::{Batch, IdKind, query::job};
use serde_json::{Value, json};

/// A job without a task, submitted by alice.
async fn job(s: &Server) -> i64 {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/client_requests.json")).unwrap();
    let mut body =
        recorded.as_array().unwrap().iter().find(|e| e["request"]["path"] == "/api/v1/task/submit").unwrap()["request"]["params"].clone();
    body["task_parameters"]["taskName"] = json!("user.alice.steer/");
    let reply = post("/api/v1/task/submit").by("alice").json(&body).send(s).await.json();
    let task = panda_core::id::TaskId(reply["data"].as_i64().unwrap());
    let ops = &s.state.ops;
    let person = panda_store::query::task::list::get(&ops.store, task).await.unwrap().unwrap().person_id;
    let queue = ops.queue("Q1").await.unwrap().unwrap().id;
    let of = panda_ops::queue::LaneOf { queue, vo: "amber", label: "user", share: "Undefined", resource_type: "SCORE", ram_mb: 0 };
    let lane = ops.lane(&of).await.unwrap();
    let id = panda_core::id::JobId(ops.store.id(IdKind::Job).await.unwrap());
    let row = job::JobRow { queue_id: Some(queue), lane_id: Some(lane), ..panda_store::testing::job_row(id, person, ops.now().0) };
    let mut batch = Batch::new();
    let doc = r#""transformation":"http://h/trf/user/runGen-00-00-02","jobPars":"-p x""#;
    job::transition::add(&mut batch, &row, 0, doc, panda_core::machine::Actor::Engine).unwrap();
    ops.store.apply(batch).await.unwrap();
    id.0
}

#[tokio::test]
async fn jobs_are_steered() {
    let s = server().await;
    let id = job(&s).await;
    let set = async |by: &str, id: i64, command: &str| {
        post("/api/v1/job/set_command").by(by).json(&json!({"job_id": id, "command": command})).send(&s).await.line()
    };
    assert_snapshot!(set("alice", id, "softkill").await, @r#"200 {"success": false, "message": "production or pilot role required", "data": null}"#);
    assert_snapshot!(set("prod", id, "softkill").await, @r#"200 {"success": true, "message": "command received", "data": null}"#);
    assert_snapshot!(set("prod", 5, "softkill").await, @r#"200 {"success": false, "message": "no active job with PandaID=5", "data": null}"#);
    let reassign = async |by: &str, ids: Value| post("/api/v1/job/reassign").by(by).json(&json!({"job_ids": ids})).send(&s).await.line();
    assert_snapshot!(reassign("bob", json!([id])).await, @r#"200 {"success": false, "message": "not the task owner or no production role", "data": null}"#);
    assert_snapshot!(
        reassign("alice", json!([id])).await,
        @r#"200 {"success": true, "message": "0 jobs go elsewhere; 1 stay (with a pilot, ended, on their last attempt, or wanted by no other queue)", "data": null}"#
    );
    let script = get(&format!("/api/v1/job/generate_offline_execution_script?job_id={id}")).by("bob").send(&s).await;
    assert!(script.content_type.starts_with("text/plain") && script.text().starts_with("#!/bin/bash\n"), "{}", script.line());
    let none = get("/api/v1/job/generate_offline_execution_script?job_id=5").by("bob").send(&s).await;
    assert_snapshot!(none.line(), @"200 ERROR: job 5 not found");
}

#[tokio::test]
async fn jobs_are_counted() {
    let s = server().await;
    job(&s).await;
    let ask = async |what: &str| get(&format!("/api/v1/statistics/{what}")).send(&s).await.line();
    assert_snapshot!(ask("job_stats_by_cloud?type=analysis").await, @r#"200 {"success": true, "message": "", "data": {"SITE":{"activated":1}}}"#);
    assert_snapshot!(ask("job_stats_by_cloud").await, @r#"200 {"success": true, "message": "", "data": {}}"#);
    assert_snapshot!(ask("job_stats_by_cloud?type=x").await, @r#"200 {"success": false, "message": "Parameter \"type\" needs to be either \"production\" or \"analysis\"", "data": {}}"#);
    assert_snapshot!(ask("production_job_stats_by_cloud_and_processing_type").await, @r#"200 {"success": true, "message": "", "data": {}}"#);
    assert_snapshot!(ask("job_stats_by_site_and_resource_type").await, @r#"200 {"success": true, "message": "", "data": {"Q1":{"SCORE":{"activated":1}}}}"#);
    assert_snapshot!(ask("job_stats_by_site_share_and_resource_type?time_window=5").await, @r#"200 {"success": true, "message": "", "data": {"Q1":{"user":{"SCORE":{"activated":1}}}}}"#);
    assert_snapshot!(ask("job_stats_by_site_and_resource_type?time_window=0").await, @r#"200 {"success": false, "message": "time_window is 0 minutes; give 1 to 10080", "data": null}"#);
}

#[tokio::test]
async fn attributes_of_a_certificate() {
    let s = server().await;
    let reply = get("/api/v1/system/get_voms_attributes").by("prod").send(&s).await.json();
    assert!(reply["data"]["GRST_CRED_0"].as_str().unwrap().starts_with("VOMS "), "{reply}");
    assert!(reply["message"].as_str().unwrap().starts_with("GRST_CRED_0 : VOMS "), "{reply}");
}

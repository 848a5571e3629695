//! Commands on tasks, from the request to the row.

use crate::support::{get, post, server};
use insta::assert_snapshot;
use serde_json::json;

#[tokio::test]
async fn unknown_tasks() {
    let s = server().await;
    let ask = async |method: &str, by: &str| {
        post(&format!("/api/v1/task/{method}")).by(by).json(&json!({"task_id": 424_242})).send(&s).await.line()
    };
    // Nobody owns what does not exist; only production learns that it does not.
    assert_snapshot!(
        ask("kill", "alice").await,
        @r#"200 {"success": false, "message": "not the task owner or no production role", "data": null}"#
    );
    assert_snapshot!(ask("kill", "prod").await, @r#"200 {"success": false, "message": "jediTaskID=424242 not found", "data": 2}"#);
    // The flag of a retry is true whatever comes of it.
    assert_snapshot!(ask("retry", "prod").await, @r#"200 {"success": true, "message": "jediTaskID=424242 not found", "data": 2}"#);
    for method in ["finish", "pause", "resume", "reload_input", "reactivate"] {
        assert!(ask(method, "prod").await.contains(r#""data": 2"#), "{method}");
    }
}

#[tokio::test]
async fn faulty_arguments() {
    let s = server().await;
    assert_snapshot!(
        post("/api/v1/task/increase_attempts").by("prod").json(&json!({"task_id": 1, "increase": -1})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "increase must be a positive integer, got -1; at most 1000", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/task/retry").by("prod").json(&json!({"task_id": 1, "new_parameters": "[1]"})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "new_parameters must be an object, or the JSON text of one", "data": null}"#
    );
}

#[tokio::test]
async fn pilots_without_jobs() {
    let s = server().await;
    let acquire = async |by: &str, body| post("/api/v1/pilot/acquire_jobs").by(by).json(&body).send(&s).await.line();
    assert_snapshot!(
        acquire("pilot", json!({"site_name": "Q1", "prod_source_label": "user", "task_id": "5", "worker_id": "7", "new": 1})).await,
        @r#"200 {"success": false, "message": "No jobs in PanDA", "data": null}"#
    );
    assert_snapshot!(
        acquire("pilot", json!({"site_name": "NOPE", "prod_source_label": "managed"})).await,
        @r#"200 {"success": false, "message": "No jobs in PanDA", "data": null}"#
    );
    assert_snapshot!(
        acquire("alice", json!({"site_name": "Q1", "prod_source_label": "managed"})).await,
        @r#"200 {"success": false, "message": "no production/pilot role in VOMS FQANs or non pilot owner", "data": null}"#
    );
    let update = async |body| post("/api/v1/pilot/update_job").by("pilot").json(&body).send(&s).await.line();
    assert_snapshot!(
        update(json!({"job_id": 99_999_999, "job_status": "running"})).await,
        @r#"200 {"success": true, "message": "", "data": {"StatusCode":0,"command":"tobekilled"}, "command": "tobekilled"}"#
    );
    assert_snapshot!(
        update(json!({"job_id": 2, "job_status": "bogus"})).await,
        @r#"200 {"success": false, "message": "Invalid job status: bogus", "data": {"StatusCode":50}}"#
    );
    let bulk = async |list| post("/api/v1/pilot/update_jobs_bulk").by("pilot").json(&json!({"job_list": list})).send(&s).await.line();
    assert_snapshot!(
        bulk(json!([{"job_id": 2, "job_status": "running"}, {"job_id": 3, "job_status": "x"}])).await,
        @r#"200 {"success": true, "message": "", "data": [{"success":true,"message":"","data":{"StatusCode":0,"command":"tobekilled"}},{"success":false,"message":"Invalid job status: x","data":{"StatusCode":50}}]}"#
    );
    assert_snapshot!(
        bulk(json!([{"job_status": "running"}])).await,
        @r#"200 {"success": false, "message": "failed with KeyError 'job_id'", "data": []}"#
    );
}

#[tokio::test]
async fn the_old_wire_says_the_same() {
    let s = server().await;
    assert_snapshot!(
        post("/server/panda/getJob").by("pilot").body("siteName=Q1&prodSourceLabel=user&mem=24105.55&diskSpace=14336&cpu=2596.1&allowOtherCountry=False").send(&s).await.line(),
        @r#"200 {"StatusCode":20,"errorDialog":"no jobs in PanDA"}"#
    );
    assert_snapshot!(
        post("/server/panda/updateJob").by("pilot").body("jobId=1001&state=running&startTime=1795342194.97&coreCount=1").send(&s).await.line(),
        @r#"200 {"StatusCode":0,"command":"tobekilled"}"#
    );
    assert_snapshot!(
        post("/server/panda/updateJob").by("pilot").json(&json!({"jobId": "1001", "state": "bogus"})).send(&s).await.line(),
        @r#"200 {"StatusCode":50,"errorDialog":"Invalid job status: bogus","command":"NULL"}"#
    );
    assert_snapshot!(
        post("/server/panda/updateJobsInBulk").by("pilot").json(&json!({"jobList": r#"[{"jobId": "5", "state": "running"}]"#})).send(&s).await.line(),
        @r#"200 [true,[{"StatusCode":0,"command":"tobekilled"}]]"#
    );
}

#[tokio::test]
async fn queues_and_callers() {
    let s = server().await;
    let list = get("/api/panda/v1/queue/list").send(&s).await.json();
    assert_eq!((&list["data"][0]["name"], &list["data"][0]["storage"]["name"]), (&json!("Q1"), &json!("S1")));
    let one = get("/api/panda/v1/queue/show?name=Q1").send(&s).await.json();
    assert_eq!(one["data"]["config"]["panda_resource"], "Q1");
    assert_snapshot!(
        get("/api/panda/v1/queue/show?name=Q9").send(&s).await.line(),
        @r#"200 {"success": false, "message": "queue `Q9` does not exist; `panda queue list` shows those that do", "data": null}"#
    );
    let who = get("/api/panda/v1/whoami").by("pilot").send(&s).await.json();
    assert_eq!(who["data"]["roles"], json!(["pilot"]));
    assert_snapshot!(
        post("/api/panda/v1/pilot/wait").by("pilot").json(&json!({"queue": "Q1", "timeout_s": 0})).send(&s).await.line(),
        @r#"200 {"success": true, "message": "", "data": {"ready":false}}"#
    );
    let specs = get("/api/v1/metaconfig/get_site_specs?type=all").send(&s).await.json();
    assert_eq!(specs["data"]["Q1"]["sitename"], "SITE");
}

#[tokio::test]
async fn secrets_are_the_callers_own() {
    let s = server().await;
    let set = async |body| post("/api/v1/creds/set_user_secrets").by("alice").json(&body).send(&s).await.line();
    let get_all = async |by: &str| get("/api/v1/creds/get_user_secrets").by(by).send(&s).await.json()["data"].clone();
    assert_eq!(get_all("alice").await, json!("{}"), "a text, also when there is nothing");
    assert_snapshot!(set(json!({"key": "k", "value": "v"})).await, @r#"200 {"success": true, "message": "OK", "data": null}"#);
    set(json!({"key": "k2", "value": "v2"})).await;
    assert_eq!(get_all("alice").await, json!(r#"{"k":"v","k2":"v2"}"#));
    assert_eq!(get_all("bob").await, json!("{}"));
    let old = post("/server/panda/get_user_secrets").by("alice").json(&json!({"get_json": true, "keys": "k"})).send(&s).await;
    assert_snapshot!(old.line(), @r#"200 [true,{"k":"v"}]"#);
    set(json!({"key": "k", "value": null})).await;
    assert_eq!(get_all("alice").await, json!(r#"{"k2":"v2"}"#));
    set(json!({"key": null, "value": null})).await;
    assert_eq!(get_all("alice").await, json!("{}"));
}

#[tokio::test]
async fn credentials_need_a_role() {
    let s = server().await;
    assert_snapshot!(
        get("/api/v1/creds/get_proxy?role=production").by("pilot").send(&s).await.line(),
        @r#"200 {"success": false, "message": "'proxy' not found for PILOT Example", "data": null}"#
    );
    assert!(get("/api/v1/creds/get_proxy").by("alice").send(&s).await.text().contains("role required"));
    let pair = async |by: &str| post("/server/panda/getKeyPair").by(by).body("publicKeyName=a&privateKeyName=../b").send(&s).await.line();
    assert_snapshot!(pair("pilot").await, @r#"200 {"StatusCode":80,"errorDialog":"key `a` not found"}"#);
    assert_snapshot!(pair("alice").await, @r#"200 {"StatusCode":60,"errorDialog":"production or pilot role required"}"#);
    assert_snapshot!(
        post("/server/panda/getProxy").by("pilot").body("role=production").send(&s).await.line(),
        @r#"200 {"StatusCode":90,"errorDialog":"'proxy' not found for PILOT Example"}"#
    );
}

#[tokio::test]
async fn workers_and_machines() {
    let s = server().await;
    let old = post("/server/panda/updateWorkerPilotStatus").by("pilot");
    let old = old.json(&json!({"workerID": "777", "harvesterID": "harv01", "status": "started", "site": "Q1", "node_id": "n"}));
    assert_snapshot!(old.send(&s).await.line(), @r#"200 {"StatusCode":0}"#);
    let status = async |word: &str| {
        let body = json!({"worker_id": 777, "harvester_id": "harv01", "status": word});
        post("/api/v1/pilot/update_worker_status").by("pilot").json(&body).send(&s).await.line()
    };
    assert_snapshot!(status("finished").await, @r#"200 {"success": true, "message": "", "data": null}"#);
    assert!(status("odd").await.contains("Invalid worker state."));
    let node = async || {
        let body = json!({"site": "SITE", "host_name": "n1", "cpu_model": "x", "n_logical_cpus": 2, "clock_speed": 2596.118, "cpu_architecture_level": ""});
        post("/api/v1/pilot/update_worker_node").by("pilot").json(&body).send(&s).await.json()
    };
    assert_eq!(node().await["message"], "inserted");
    assert_eq!(node().await["message"], "updated");
    let gpu = json!({"site": "SITE", "host_name": "n1", "vendor": "v", "model": "m", "count": "2"});
    let gpu = post("/api/v1/pilot/update_worker_node_gpu").by("pilot").json(&gpu).send(&s).await.json();
    assert_eq!(gpu["success"], true, "{gpu}");
}

#[tokio::test]
async fn queues_are_added_and_changed() {
    let s = server().await;
    let storage = s.folder.path().join("storage2");
    std::fs::create_dir(&storage).unwrap();
    let body = json!({"name": "Q2", "config": {"corecount": 8, "timefloor": 10}, "storage": storage, "pilot": "official-generic"});
    let add = async |by: &str| post("/api/panda/v1/queue/add").by(by).json(&body).send(&s).await.json();
    assert!(add("prod").await["message"].as_str().unwrap().contains("nor operator"));
    let added = add("op").await;
    assert_eq!((&added["data"]["core_count"], &added["data"]["pilot"]), (&json!(8), &json!("official-generic")), "{added}");
    let doc = get("/cache/schedconfig/Q2.all.json").send(&s).await.json();
    assert_eq!((&doc["timefloor"], &doc["corecount"]), (&json!(10), &json!(8)));
    let set = post("/api/panda/v1/queue/set").by("op").json(&json!({"name": "Q2", "values": {"state": "offline"}}));
    assert_eq!(set.send(&s).await.json()["data"]["state"], "offline");
    assert_eq!(get("/cache/schedconfig/Q2.all.json").send(&s).await.json()["status"], "offline");
}

#[tokio::test]
async fn data_sets() {
    let s = server().await;
    let folder = s.folder.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("f1.txt"), b"one").unwrap();
    let storage = s.folder.path().join("store");
    std::fs::create_dir(&storage).unwrap();
    let queue = json!({"name": "Q3", "storage": storage});
    assert_eq!(post("/api/panda/v1/queue/add").by("op").json(&queue).send(&s).await.json()["success"], true);
    let add = json!({"name": "user.prod:user.prod.in/", "dir": folder, "queue": "Q3"});
    let added = post("/api/panda/v1/dataset/add").by("prod").json(&add).send(&s).await.json();
    assert_eq!(
        (&added["data"]["n_files"], &added["data"]["n_bytes"], &added["data"]["added"]),
        (&json!(1), &json!(3), &json!(1)),
        "{added}"
    );
    let list = get("/api/panda/v1/dataset/list?pattern=user.*").by("prod").send(&s).await.json();
    assert_eq!(list["data"]["datasets"][0]["name"], "user.prod.in", "{list}");
    let show = get("/api/panda/v1/dataset/show?name=user.prod.in").by("prod").send(&s).await.json();
    assert_eq!(show["data"]["files"][0]["lfn"], "f1.txt", "{show}");
    assert_snapshot!(
        post("/api/panda/v1/dataset/add").by("prod").json(&json!({"name": "x"})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "give either `dir` or `files`", "data": null}"#
    );
    let recover = post("/api/v1/file_server/upload_file_recovery_request").by("prod").json(&json!({"task_id": 5, "dry_run": true}));
    assert_snapshot!(recover.send(&s).await.line(), @r#"200 {"success": false, "message": "jediTaskID=5 not found", "data": null}"#);
}

//! Checkpoints, requests to the server's machines, and what has no engine here: each answers clearly, in both wires.

use crate::support::{Server, get, post, server};
use insta::assert_snapshot;
use serde_json::{Value, json};

async fn task(s: &Server) -> i64 {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/client_requests.json")).unwrap();
    let submit = |e: &&Value| e["request"]["path"] == "/api/v1/task/submit";
    let body = recorded.as_array().unwrap().iter().find(submit).unwrap()["request"]["params"].clone();
    post("/api/v1/task/submit").by("alice").json(&body).send(s).await.json()["data"].as_i64().unwrap()
}

#[tokio::test]
async fn checkpoints_are_of_the_owner_and_of_pilots() {
    let s = server().await;
    let id = task(&s).await;
    let put = async |by: &str, name: &str, text: &[u8]| {
        post("/api/v1/file_server/upload_hpo_checkpoint").by(by).file(name, text).send(&s).await.json()
    };
    let reply = put("alice", &format!("{id}_7"), b"first").await;
    assert_eq!(reply["data"], json!(format!("http://panda.example:25080/cache/hpo_cp_{id}_7")), "{reply}");
    assert_eq!(put("bob", &format!("{id}_7"), b"x").await["message"], "not the task owner or no production role");
    assert_eq!(put("pilot", &format!("{id}_7"), b"second").await["success"], true);
    assert_eq!(get(&format!("/cache/hpo_cp_{id}_7")).send(&s).await.text(), "second");
    for name in ["x_1", "7", "5_1", "_"] {
        assert_eq!(put("alice", name, b"x").await["success"], false, "{name}");
    }
    let gone = async |by: &str| {
        let body = json!({"task_id": id.to_string(), "sub_id": "7"});
        post("/api/v1/file_server/delete_hpo_checkpoint").by(by).json(&body).send(&s).await.json()["success"].clone()
    };
    assert_eq!((gone("bob").await, gone("alice").await, gone("alice").await), (json!(false), json!(true), json!(false)));
    assert_eq!(get(&format!("/cache/hpo_cp_{id}_7")).send(&s).await.status, 404);
    let old = post("/server/panda/put_checkpoint").by("alice").file(&format!("{id}_8"), b"third").send(&s).await;
    assert_eq!(old.json(), json!({"status": true, "message": format!("http://panda.example:25080/cache/hpo_cp_{id}_8")}));
    let anonymous = post("/server/panda/put_checkpoint").file(&format!("{id}_8"), b"fourth").send(&s).await;
    assert_eq!(anonymous.json(), json!({"status": false, "message": "SSL secure connection is required"}));
    let old = get(&format!("/server/panda/delete_checkpoint?task_id={id}&sub_id=8")).by("alice").send(&s).await;
    assert_eq!(old.json(), json!({"status": true, "message": ""}));
}

#[tokio::test]
async fn files_that_came_another_way_are_noted() {
    let s = server().await;
    task(&s).await;
    let note = async |user: &str, name: &str| {
        let body = json!({"user_name": user, "file_name": name, "file_size": 3, "checksum": "77"});
        post("/api/v1/file_server/register_cache_file").by("prod").json(&body).send(&s).await.line()
    };
    assert_snapshot!(note("ALICE Example", "sources.a.tar.gz").await, @r#"200 {"success": true, "message": "", "data": null}"#);
    assert_snapshot!(note("ALICE Example", "sources.a.tar.gz").await, @r#"200 {"success": false, "message": "WARNING: file exist", "data": null}"#);
    assert_snapshot!(note("NOBODY", "b").await, @r#"200 {"success": false, "message": "there is no user `NOBODY`", "data": null}"#);
    assert_snapshot!(note("ALICE Example", "../b").await, @r#"200 {"success": false, "message": "the file name is not allowed", "data": null}"#);
    let find = async || {
        let body = json!({"file_size": 3, "checksum": "77"});
        post("/api/v1/file_server/validate_cache_file").by("alice").json(&body).send(&s).await.json()["message"].clone()
    };
    assert_eq!(find().await, "NOTFOUND", "its bytes are not here");
    std::fs::write(s.state.ops.blobs.cache_path("sources.a.tar.gz").unwrap(), "abc").unwrap();
    assert_eq!(find().await, "FOUND:panda.example:sources.a.tar.gz");
}

#[tokio::test]
async fn an_echo_comes_back() {
    let s = server().await;
    let body = json!({"service_name": "panda", "message": "hello", "seconds": 0});
    let path = "/api/v1/async_process/submit_sleep_echo_request";
    let id = post(path).by("prod").json(&body).send(&s).await.json()["data"]["request_id"].as_str().unwrap().to_owned();
    assert_eq!(post(path).by("alice").json(&body).send(&s).await.json()["message"], "production or pilot role required");
    for _ in 0..500 {
        let got = get(&format!("/api/v1/async_process/get_result?request_id={id}")).by("prod").send(&s).await.json();
        if got["data"]["overall_status"] == "complete" {
            return assert_eq!(got["data"]["results"][0]["result"], "hello");
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no echo");
}

#[tokio::test]
async fn what_has_no_engine_here_says_so() {
    let s = server().await;
    let old = async |path: &str| post(&format!("/server/panda/{path}")).by("alice").send(&s).await.line();
    assert_snapshot!(old("relay_idds_command?command_name=get_requests&manager=True").await, @r#"200 [false,"command `get_requests` is not relayed: there is no iDDS behind this server; workflows are not run by this server; give their steps as nodes of a DAG (`panda run --dag FILE`, the task parameter `dag`), or as tasks with `parent_tid`"]"#);
    assert_snapshot!(old("execute_idds_workflow_command?command_name=abort&kwargs=%7B").await, @r#"200 [false,"kwargs is not valid JSON: EOF while parsing an object at line 1 column 1"]"#);
    assert_snapshot!(old("putEventPickingRequest?runEventList=1+2&giveGUID=False").await, @r#"200 ERROR: this server has no index of events that finds them; submit a task over the data sets that hold them"#);
    assert_snapshot!(old("putEventPickingRequest?runEventList=1+x").await, @r#"200 ERROR: line 1 is not `run event`"#);
    assert_snapshot!(old("put_workflow_request?data=%7B%7D&check=True").await, @r#"200 [false,"workflows are not run by this server; give their steps as nodes of a DAG (`panda run --dag FILE`, the task parameter `dag`), or as tasks with `parent_tid`"]"#);
    assert_snapshot!(old("put_file_recovery_request?jediTaskID=5").await, @r#"200 [false,"not the task owner or no production role"]"#);
}

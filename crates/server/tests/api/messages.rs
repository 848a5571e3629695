//! The order of checks and the texts of refusals (API sheet 0.2 to 0.5, and the recorded answers of the original).

use crate::support::{get, gzip, post, server};
use insta::assert_snapshot;
use serde_json::json;

#[tokio::test]
async fn the_recorded_answers() {
    let s = server().await;
    let alive = get("/api/v1/system/is_alive").send(&s).await;
    assert_snapshot!(alive.line(), @r#"200 {"success": true, "message": "", "data": null}"#);
    assert_eq!(alive.content_type, "application/json");
    assert_eq!(get("/api/latest/system/is_alive").send(&s).await.bytes, alive.bytes);
    let unknown = get("/api/v1/nosuch/x").send(&s).await;
    assert_snapshot!(unknown.line(), @"403 ERROR : method x is forbidden");
    assert!(unknown.content_type.starts_with("text/plain"));
    assert_snapshot!(get("/api/v1/job/nosuch").send(&s).await.line(), @"403 ERROR : method nosuch is forbidden");
    assert_snapshot!(get("/api/v7/system/is_alive").send(&s).await.line(), @"403 ERROR : method is_alive is forbidden");
    assert_snapshot!(
        get("/api/v1/job/get_status?job_ids=1").send(&s).await.line(),
        @r#"200 {"success": false, "message": "SSL secure connection is required", "data": null}"#
    );
    assert_snapshot!(
        get("/api/v1/pilot/acquire_jobs?site_name=TEST_PQ").by("prod").send(&s).await.line(),
        @r#"200 {"success": false, "message": "expecting POST, received GET", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/pilot/acquire_jobs").by("prod").json(&json!({})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Argument error: missing a required argument: 'site_name'", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/pilot/acquire_jobs").by("prod").json(&json!({"site_name": "Q", "n_jobs": "1"})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Type error: 'n_jobs' must be of type int, got str.", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/pilot/update_job").by("alice").json(&json!({"job_id": 2, "job_status": "running"})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "production or pilot role required", "data": null}"#
    );
    assert_snapshot!(
        get("/api/v1/task/get_details?task_id=abc").by("prod").send(&s).await.line(),
        @r#"200 {"success": false, "message": "Type error: 'task_id' with value 'abc' could not be casted to type int from str.", "data": null}"#
    );
}

#[tokio::test]
async fn unexpected_names() {
    let s = server().await;
    let body = json!({"task_id": 5, "foo": 1});
    assert_snapshot!(
        post("/api/v1/task/pause").by("alice").json(&body).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Argument error: got an unexpected keyword argument 'foo'", "data": null}"#
    );
    assert_snapshot!(
        get("/api/v1/pilot/get_job_status?job_ids=1&foo=1").by("alice").send(&s).await.line(),
        @r#"200 {"success": false, "message": "Argument error: got an unexpected keyword argument 'foo'", "data": null}"#
    );
    // Pilots of other ages send more in their bodies.
    let body = json!({"worker_id": "777", "harvester_id": "h", "site": "Q", "new": 1});
    assert_snapshot!(
        post("/api/v1/pilot/update_worker_status").by("pilot").json(&body).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Argument error: missing a required argument: 'status'", "data": null}"#
    );
}

#[tokio::test]
async fn types() {
    let s = server().await;
    let ask = async |body| post("/api/v1/task/retry").by("alice").json(&body).send(&s).await.line();
    assert_snapshot!(
        ask(json!({"task_id": {}})).await,
        @r#"200 {"success": false, "message": "Type error: 'task_id' must be of type int, got dict.", "data": null}"#
    );
    assert_snapshot!(
        ask(json!({"task_id": 5, "new_parameters": 3})).await,
        @r#"200 {"success": false, "message": "Type error: 'new_parameters' must be of type dict|str, got int.", "data": null}"#
    );
    assert_snapshot!(
        ask(json!({"task_id": 5, "no_child_retry": "yes"})).await,
        @r#"200 {"success": false, "message": "Type error: 'no_child_retry' must be of type bool, got str.", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/job/kill").by("alice").json(&json!({"job_ids": [1, "x"]})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Type error: All elements in 'job_ids' must be int.", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/creds/set_user_secrets").by("alice").json(&json!({"key": 3})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "Type error: 'key' must be of type str, got int.", "data": null}"#
    );
    assert_snapshot!(
        get("/api/v1/task/get_status?task_id=1&task_id=2").by("alice").send(&s).await.line(),
        @r#"200 {"success": false, "message": "Type error: 'task_id' must be of type int, got list.", "data": null}"#
    );
}

#[tokio::test]
async fn identities() {
    let s = server().await;
    let who = "/api/v1/system/get_user_attributes";
    assert_snapshot!(get(who).by("bad").send(&s).await.line(), @"403 ERROR : Token authentication failed. Invalid token. signature is wrong");
    assert_snapshot!(get(who).by("mallory").send(&s).await.line(), @"403 ERROR : MALLORY Example is banned");
    assert_snapshot!(
        get(who).header("authorization", "oneword").send(&s).await.line(),
        @r#"200 {"success": false, "message": "SSL secure connection is required", "data": null}"#
    );
    // The method comes first, then the identity, then the body.
    assert_snapshot!(get("/api/v1/a/b").by("bad").send(&s).await.line(), @"403 ERROR : method b is forbidden");
    let broken = post("/api/v1/task/submit").header("content-type", "application/json");
    assert_eq!(broken.by("bad").body("{").send(&s).await.status, 403);
    let reply = get(who).by("prod").header("origin", "amber:production").send(&s).await.json();
    assert_eq!(reply["data"]["is_production_user"], true);
    assert_eq!(reply["data"]["fqans"], json!(["/amber/Role=production"]));
    assert_eq!(reply["data"]["primary_working_group"], "calib");
    assert!(reply["message"].as_str().unwrap().starts_with("User DN (raw): PROD Example/CN=nickname:prod\n"));
}

#[tokio::test]
async fn attributes_hold_no_secret() {
    let s = server().await;
    let reply = get("/api/v1/system/get_attributes?a=1&b=x&b=y").by("alice").header("origin", "amber").send(&s).await;
    let data = reply.json()["data"].clone();
    assert_eq!(data["parameters"]["a"], "1");
    assert_eq!(data["environment"]["REQUEST_METHOD"], "GET");
    assert_eq!(data["environment"]["HTTP_ORIGIN"], "amber");
    assert!(!reply.text().contains("Bearer"));
    assert!(!reply.text().contains("PATH"));
}

#[tokio::test]
async fn unreadable_bodies() {
    let s = server().await;
    let ask = || post("/api/v1/task/submit").by("alice").header("content-type", "application/json");
    assert_snapshot!(
        ask().body("{bad").send(&s).await.line(),
        @"400 ERROR : received invalid JSON : key must be a string at line 1 column 2"
    );
    assert_snapshot!(ask().body("[1]").send(&s).await.line(), @"400 ERROR : received invalid JSON : the body must be an object");
    assert_snapshot!(
        ask().body("[".repeat(5000)).send(&s).await.line(),
        @"400 ERROR : received invalid JSON : recursion limit exceeded at line 1 column 128"
    );
    let half = &gzip(br#"{"task_parameters": {}}"#)[..20];
    assert_snapshot!(ask().body(half).send(&s).await.line(), @"400 ERROR : the body starts as gzip but is cut or broken");
    assert_snapshot!(
        ask().body(vec![b' '; (16 << 20) + 1]).send(&s).await.line(),
        @"413 ERROR : the body has more than 16777216 bytes, which is the limit of this method"
    );
    let bomb = gzip(&vec![b' '; (64 << 20) + 1]);
    assert_snapshot!(
        ask().body(bomb).send(&s).await.line(),
        @"413 ERROR : the body has more than 67108864 bytes after decompression, which is the limit of this method"
    );
    assert_snapshot!(
        ask().header("content-length", "99999999999").send(&s).await.line(),
        @"413 ERROR : the body has more than 16777216 bytes, which is the limit of this method"
    );
    // The server still serves.
    assert_eq!(get("/api/v1/system/is_alive").send(&s).await.status, 200);
}

#[tokio::test]
async fn bodies_in_every_encoding() {
    let s = server().await;
    // All of these reach the binder with the same content: the missing name is what it complains about.
    let want = r#"{"success": false, "message": "Argument error: missing a required argument: 'harvester_id'", "data": null}"#;
    let json = br#"{"worker_id": 1, "status": "started"}"#;
    let ask = || post("/api/v1/pilot/update_worker_status").by("pilot");
    let typed = |kind: &str| ask().header("content-type", kind);
    for (name, ask) in [
        ("json", typed("application/json").body(*json)),
        ("json with charset", typed("application/json; charset=utf-8").body(*json)),
        ("json without type", ask().body(*json)),
        ("json as form", typed("application/x-www-form-urlencoded").body(*json)),
        ("gzip", typed("application/json").body(gzip(json))),
        ("gzip with encoding", typed("application/json").header("content-encoding", "gzip").body(gzip(json))),
        ("plain with encoding", typed("application/json").header("content-encoding", "gzip").body(*json)),
        ("form", typed("application/x-www-form-urlencoded").body("worker_id=1&status=started")),
        ("form without type", ask().body("worker_id=1&status=started")),
        ("gzipped form", ask().body(gzip(b"worker_id=1&status=started"))),
        (
            "multipart",
            typed("multipart/form-data; boundary=B").body(
                "--B\r\nContent-Disposition: form-data; name=\"worker_id\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"status\"\r\n\r\nstarted\r\n--B--\r\n",
            ),
        ),
    ] {
        assert_eq!(ask.send(&s).await.text(), want, "{name}");
    }
}

#[tokio::test]
async fn other_verbs() {
    let s = server().await;
    assert_snapshot!(
        post("/api/v1/task/pause").verb("PUT").by("alice").json(&json!({"task_id": 1})).send(&s).await.line(),
        @r#"200 {"success": false, "message": "expecting POST, received PUT", "data": null}"#
    );
    assert_snapshot!(
        post("/api/v1/job/get_description").verb("DELETE").by("alice").send(&s).await.line(),
        @r#"200 {"success": false, "message": "expecting GET or POST, received DELETE", "data": null}"#
    );
    assert_eq!(get("/api/v1/system/is_alive").verb("HEAD").send(&s).await.status, 200);
}

#[tokio::test]
async fn paths_that_are_none() {
    let s = server().await;
    for path in [
        "/",
        "/x",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/system",
        "/api/v1/system/",
        "/api/v1/system/is_alive/",
        "/api/v1//is_alive",
        "/server/panda/",
        "/server/panda/nosuch",
        "/cache",
        "/api/v1/system/%69s_alive",
    ] {
        let reply = get(path).send(&s).await;
        assert_eq!(reply.status, 403, "{path}");
        assert!(reply.text().starts_with("ERROR : method ") && reply.text().ends_with(" is forbidden"), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn every_method_meets_an_empty_request() {
    let s = server().await;
    for m in panda_server::methods::all() {
        let base = if m.space == panda_server::methods::Space::V1 { "/api/v1" } else { "/api/panda/v1" };
        let path = format!("{base}/{}{}{}", m.module, if m.module.is_empty() { "" } else { "/" }, m.name);
        for caller in ["", "alice", "prod"] {
            for ask in [get(&path), post(&path), post(&path).json(&json!({}))] {
                let ask = if caller.is_empty() { ask } else { ask.by(caller) };
                let reply = ask.send(&s).await;
                assert!(reply.status == 200 || reply.status == 400, "{path} by {caller:?}: {}", reply.line());
            }
        }
    }
}

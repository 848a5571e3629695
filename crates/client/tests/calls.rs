//! The client against a server that answers well, badly and not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use panda_client::{Client, ClientError, RetryPolicy};
use serde_json::json;
use wiremock::matchers::{body_json, body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(server: &MockServer) -> Client {
    Client::builder(format!("{}/server/panda", server.uri())).token("tok").origin("amber.pilot").build().unwrap()
}

#[tokio::test]
async fn calls_carry_identity_and_come_back_as_envelopes() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/task/get_status"))
        .and(query_param("task_id", "10000001"))
        .and(header("authorization", "Bearer tok"))
        .and(header("origin", "amber.pilot"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"success": true, "message": "", "data": "done", "response": 7})))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/panda/v1/pilot/wait"))
        .and(body_json(json!({"queue": "Q", "timeout_s": 30})))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"success": false, "message": "no such queue"})))
        .mount(&server)
        .await;
    let client = client(&server);
    let answer = client.get("task", "get_status", &[("task_id", 10_000_001)]).await.unwrap();
    assert_eq!(answer.extra["response"], 7);
    assert_eq!(answer.into_data::<String>().unwrap(), "done");
    let refused = client.own_post("pilot/wait", &json!({"queue": "Q", "timeout_s": 30})).await.unwrap();
    assert_eq!(refused.ok().unwrap_err().to_string(), "no such queue");
}

#[tokio::test]
async fn refusals_and_strange_answers_are_told() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/a/forbidden"))
        .respond_with(ResponseTemplate::new(403).set_body_string("ERROR : token expired"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/a/html")).respond_with(ResponseTemplate::new(200).set_body_string("<html>hello</html>")).mount(&server).await;
    let client = client(&server);
    let error = client.get("a", "forbidden", &()).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    let text = error.to_string();
    assert!(text.contains("token expired") && text.contains("check the token"), "{text}");
    let text = client.get("a", "html", &()).await.unwrap_err().to_string();
    assert!(text.contains("<html>hello"), "{text}");
}

#[tokio::test]
async fn a_dead_server_is_named() {
    let client = Client::builder("http://127.0.0.1:1")
        .retry(RetryPolicy { attempts: 2, first_pause: Duration::from_millis(1), max_pause: Duration::from_millis(1) })
        .build()
        .unwrap();
    let error = client.post("task", "submit", &json!({})).await.unwrap_err();
    assert!(error.is_unreachable() && error.is_transient());
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn files_go_up_and_come_down() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/v1/file_server/upload_cache_file"))
        .and(body_string_contains("filename=\"jobO.x.tar.gz\""))
        .and(body_string_contains("sandbox bytes"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"success": true, "message": "", "data": null})))
        .mount(&server)
        .await;
    Mock::given(path("/cache/jobO.x.tar.gz"))
        .respond_with(ResponseTemplate::new(200).set_body_string("sandbox bytes"))
        .mount(&server)
        .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("up");
    std::fs::write(&file, "sandbox bytes").unwrap();
    let client = client(&server);
    assert!(client.upload_cache_file("jobO.x.tar.gz", &file).await.unwrap().success);
    let to = dir.path().join("down");
    assert_eq!(client.download("/cache/jobO.x.tar.gz", &to).await.unwrap(), 13);
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "sandbox bytes");
    let missing = client.download("/cache/none", &dir.path().join("none")).await;
    assert_eq!(missing.unwrap_err().status(), Some(404));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    let error = client.upload_cache_file("n", &dir.path().join("absent")).await.unwrap_err();
    assert!(matches!(error, ClientError::File { .. }));
}

#[tokio::test]
async fn names_are_resolved() {
    let server = MockServer::start().await;
    Mock::given(path("/cache/x.json")).respond_with(ResponseTemplate::new(200).set_body_json(json!({"a": 1}))).mount(&server).await;
    let url = server.uri().replace("127.0.0.1", "localhost");
    let client = Client::builder(url).build().unwrap();
    let value: serde_json::Value = client.get_json("/cache/x.json").await.unwrap();
    assert_eq!(value["a"], 1);
}

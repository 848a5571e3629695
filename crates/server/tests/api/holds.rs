//! Holds, storages and retention, from the request to what pilots get.

use crate::support::{get, post, server};
use insta::assert_snapshot;
use serde_json::{Value, json};

#[tokio::test]
async fn a_queue_is_held_and_released() {
    let s = server().await;
    let ask = async |what: &str, by: &str, body: Value| post(&format!("/api/panda/v1/queue/{what}")).by(by).json(&body).send(&s).await;
    let held = async || get("/api/panda/v1/queue/holds").by("alice").send(&s).await.json()["data"].clone();
    assert_eq!(held().await, json!([]));
    let refused = ask("hold", "alice", json!({"name": "Q1", "reason": "disk is full"})).await.json();
    assert_eq!(refused["success"], json!(false), "{refused}");
    let refused = ask("hold", "op", json!({"name": "NOPE", "reason": "x"})).await.json();
    assert_snapshot!(refused["message"].as_str().unwrap(), @"queue `NOPE` does not exist; `panda queue list` shows what there is");
    let refused = ask("hold", "op", json!({"name": "Q1", "reason": " "})).await.json();
    assert_snapshot!(refused["message"].as_str().unwrap(), @"give a reason of at most 500 characters: whoever waits will read it");
    let done = ask("hold", "op", json!({"name": "Q1", "reason": "disk is full"})).await.json();
    assert_eq!(done["success"], json!(true), "{done}");
    let h = &held().await[0];
    assert_eq!(
        (&h["queue"], &h["kind"], &h["reason"], &h["who"]),
        (&json!("Q1"), &json!("operator"), &json!("disk is full"), &json!("OP Example"))
    );
    assert_eq!(h["frees"], json!("`panda queue release Q1`"));
    assert_eq!(ask("release", "op", json!({"name": "Q1"})).await.json()["data"], json!(1));
    assert_eq!(held().await, json!([]));
    assert_eq!(ask("release", "op", json!({"name": "Q1"})).await.json()["data"], json!(0));
}

#[tokio::test]
async fn the_server_and_a_queue_are_drained() {
    let s = server().await;
    let ask = async |what: &str, body: Value| post(&format!("/api/panda/v1/queue/{what}")).by("op").json(&body).send(&s).await.json();
    let held = async || get("/api/panda/v1/queue/holds").by("alice").send(&s).await.json()["data"].clone();
    for body in [json!({"reason": "new disks"}), json!({"name": "Q1", "reason": "new disks"})] {
        assert_eq!(ask("drain", body).await["success"], json!(true));
    }
    let queues: Vec<Value> = held().await.as_array().unwrap().iter().map(|h| h["queue"].clone()).collect();
    assert!(queues.contains(&json!(null)) && queues.contains(&json!("Q1")), "{queues:?}");
    assert_eq!(ask("undrain", json!({})).await["data"], json!(1));
    assert_eq!(ask("undrain", json!({"name": "Q1"})).await["data"], json!(1));
    assert_eq!(held().await, json!([]));
}

#[tokio::test]
async fn what_is_kept_is_listed() {
    let s = server().await;
    let list = async |query: &str| get(&format!("/api/panda/v1/retention/list{query}")).by("alice").send(&s).await.json();
    assert_eq!(list("?due=true").await["data"], json!([]));
    post("/api/panda/v1/queue/hold").by("op").json(&json!({"name": "Q1", "reason": "x"})).send(&s).await;
    let all = list("").await;
    let journal = all["data"].as_array().unwrap().iter().find(|l| l["class"] == json!("journal")).unwrap_or_else(|| panic!("{all}"));
    assert_eq!(
        (&journal["rows"], &journal["setting"]),
        (&json!(2), &json!("retention.journal_days")),
        "the hold, and that it was asked for"
    );
}

/// What is known of storage endpoints, and the ways between them, is told from outside.
#[tokio::test]
async fn storages_are_listed_changed_and_linked() {
    let s = server().await;
    let ask =
        async |what: &str, by: &str, body: Value| post(&format!("/api/panda/v1/storage/{what}")).by(by).json(&body).send(&s).await.json();
    let listed = async || get("/api/panda/v1/storage/list").by("alice").send(&s).await.json()["data"].clone();
    let one = json!({"name": "S1", "values": {"nucleus": true, "space_free_gb": 7}});
    assert_eq!(ask("set", "alice", one.clone()).await["success"], json!(false));
    assert_eq!(ask("set", "op", one).await["data"]["space_free_gb"], 7);
    let root = std::env::temp_dir().join(format!("panda-test-storage-{}", std::process::id()));
    assert_eq!(ask("set", "op", json!({"name": "S2", "values": {"root": root}})).await["success"], json!(true));
    assert_eq!(ask("link", "op", json!({"from": "S1", "to": "S2", "cost": 3, "mbps": 100})).await["success"], json!(true));
    let all = listed().await;
    let names: Vec<&str> = all["endpoints"].as_array().unwrap().iter().filter_map(|e| e["name"].as_str()).collect();
    assert!(names.contains(&"S1") && names.contains(&"S2"), "{all}");
    assert_eq!(all["links"], json!([{"from": "S1", "to": "S2", "cost": 3, "mbps": 100, "queued": 0}]));
    let refused = ask("link", "op", json!({"from": "S1", "to": "NOPE", "cost": 1})).await;
    assert_snapshot!(refused["message"].as_str().unwrap(), @"storage endpoint `NOPE` does not exist; `panda storage list` shows those that do");
    assert_eq!(ask("unlink", "op", json!({"from": "S1", "to": "S2"})).await["success"], json!(true));
    assert_eq!(listed().await["links"], json!([]));
    std::fs::remove_dir_all(root).unwrap();
}

//! Storage endpoints and the ways between them, from the request to what brokerage sees.

use crate::support::{get, post, server};
use insta::assert_snapshot;
use serde_json::{Value, json};

#[tokio::test]
async fn storage_is_added_changed_linked_and_removed() {
    let s = server().await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("far").display().to_string();
    let ask =
        async |what: &str, by: &str, body: Value| post(&format!("/api/panda/v1/storage/{what}")).by(by).json(&body).send(&s).await.json();
    let list = async || get("/api/panda/v1/storage/list").by("alice").send(&s).await.json()["data"].clone();
    let show = async |name: &str| get(&format!("/api/panda/v1/storage/show?name={name}")).by("alice").send(&s).await.json();
    let before = list().await;
    let home = before["endpoints"][0]["name"].as_str().unwrap().to_owned();
    let far = json!({"name": "FAR", "root": root, "values": {"is_tape": true}});
    assert_eq!(ask("add", "alice", far.clone()).await["success"], json!(false), "not for everybody");
    let made = ask("add", "op", far.clone()).await;
    assert_eq!(
        (&made["success"], &made["data"]["is_tape"], &made["data"]["state"]),
        (&json!(true), &json!(true), &json!("active")),
        "{made}"
    );
    assert_snapshot!(ask("add", "op", far).await["message"].as_str().unwrap(), @"storage endpoint `FAR` exists; `panda storage set FAR KEY=VALUE` changes it");
    let changed = ask("set", "op", json!({"name": "FAR", "values": {"state": "offline", "space_free_gb": 7, "is_tape": null}})).await;
    assert_eq!(
        (&changed["data"]["state"], &changed["data"]["space_free_gb"], &changed["data"]["is_tape"]),
        (&json!("offline"), &json!(7), &json!(false))
    );
    let refused = ask("set", "op", json!({"name": "FAR", "values": {"colour": 1}})).await;
    assert_snapshot!(refused["message"].as_str().unwrap(), @"unknown key `colour`; an endpoint has state, read, write, space_free_gb, is_tape, nucleus");
    assert_eq!(ask("link", "op", json!({"from": "FAR", "to": home, "cost": 3, "mbps": 100})).await["success"], json!(true));
    assert_eq!(list().await["links"], json!([{"from": "FAR", "to": home, "cost": 3, "mbps": 100, "queued": 0}]));
    let shown = show(&home).await["data"].clone();
    assert_eq!((&shown["links"][0]["cost"], shown["queues"].as_array().unwrap().is_empty()), (&json!(3), false), "{shown}");
    let refused = ask("remove", "op", json!({"name": "FAR"})).await["message"].as_str().unwrap().replace(&home, "HOME");
    assert_snapshot!(refused, @"storage endpoint `FAR` is in use: there is a way from FAR to HOME; `panda storage unlink FAR HOME` takes it out");
    let refused = ask("remove", "op", json!({"name": home})).await["message"].as_str().unwrap().to_owned();
    assert!(refused.contains("in use: queue "), "{refused}");
    assert_eq!(ask("unlink", "op", json!({"from": "FAR", "to": home})).await["success"], json!(true));
    assert_eq!(ask("remove", "op", json!({"name": "FAR"})).await["success"], json!(true));
    assert_eq!(list().await, before);
    assert_snapshot!(show("FAR").await["message"].as_str().unwrap(), @"storage endpoint `FAR` does not exist; `panda storage list` shows those that do");
}

#[tokio::test]
async fn what_makes_no_sense_about_storage_is_refused() {
    let s = server().await;
    let ask = async |what: &str, body: Value| post(&format!("/api/panda/v1/storage/{what}")).by("op").json(&body).send(&s).await.json();
    for (what, body, said) in [
        ("add", json!({"name": "NEAR", "root": "rel/dir"}), "root=/absolute/directory"),
        ("add", json!({"name": "a b", "root": "/tmp/x"}), "is no endpoint name"),
        ("add", json!({"name": "NEAR", "root": "/tmp/x", "values": {"state": "gone"}}), "neither active nor offline"),
        ("set", json!({"name": "NONE", "values": {"state": "active"}}), "does not exist"),
        ("link", json!({"from": "NONE", "to": "NONE", "cost": 1}), "does not exist"),
        ("remove", json!({"name": "NONE"}), "does not exist"),
    ] {
        let got = ask(what, body).await;
        assert_eq!(got["success"], json!(false), "{what}: {got}");
        assert!(got["message"].as_str().unwrap().contains(said), "{what}: {got}");
    }
}

//! Retry rules, from the request to the rule.

use std::fmt::Write as _;

use crate::support::{Server, get, post, server};
use insta::assert_snapshot;
use serde_json::{Value, json};

async fn give(s: &Server, what: &str, by: &str, body: Value) -> Value {
    post(&format!("/api/panda/v1/retry_rule/{what}")).by(by).json(&body).send(s).await.json()
}
async fn ask(s: &Server, query: &str) -> Value {
    get(&format!("/api/panda/v1/retry_rule/{query}")).by("alice").send(s).await.json()
}
fn said(reply: &Value) -> &str {
    assert_eq!(reply["success"], json!(false), "{reply}");
    reply["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_rule_is_added_tried_changed_and_removed() {
    let s = server().await;
    let shipped = ask(&s, "list").await["data"].clone();
    assert!(shipped.as_array().unwrap().iter().all(|r| r["origin"] == "shipped"), "{shipped}");
    let first = &shipped[0];
    assert_eq!(ask(&s, &format!("show?id={}", first["id"])).await["data"], *first);
    let trial = async || ask(&s, "try?source=pilot&code=1305&message=no%20disk%20left%20on%20vol7&vo=amber").await["data"].clone();
    assert_eq!((&trial().await["again"], &trial().await["rules"]), (&json!("as often as the task allows"), &json!([])));
    // Added for errors with this text, first only recorded.
    let values = json!({"source": "pilot", "message": ".*no disk left on vol[0-9]", "action": "no_retry", "active": false});
    let added = give(&s, "add", "op", json!({"values": values})).await;
    let (id, rule) = (added["data"]["id"].as_i64().unwrap(), &added["data"]);
    assert_eq!((&added["success"], &rule["origin"], &rule["action"]), (&json!(true), &json!("own"), &json!("no_retry")));
    assert_eq!((&trial().await["again"], &trial().await["dry"][0]["id"]), (&json!("as often as the task allows"), &json!(id)));
    // Changed: what is not given stays.
    let set = give(&s, "set", "op", json!({"id": id, "values": {"active": true, "note": "vol7 is full"}})).await;
    let rule = &set["data"];
    assert_eq!((&rule["active"], &rule["note"], &rule["action"]), (&json!(true), &json!("vol7 is full"), &json!("no_retry")));
    assert_eq!((&trial().await["again"], &trial().await["rules"][0]["id"]), (&json!("not again"), &json!(id)));
    assert_eq!(ask(&s, "list").await["data"].as_array().unwrap().len(), shipped.as_array().unwrap().len() + 1);
    // A shipped one is changed, and goes back.
    give(&s, "set", "op", json!({"id": first["id"], "values": {"active": false}})).await;
    assert_eq!(ask(&s, &format!("show?id={}", first["id"])).await["data"]["origin"], "changed");
    for id in [json!(id), first["id"].clone()] {
        assert_eq!(give(&s, "remove", "op", json!({"id": id})).await["success"], json!(true));
    }
    assert_eq!(ask(&s, "list").await["data"], shipped);
}

/// Each faulty request with what it is told.
#[tokio::test]
async fn rules_that_make_no_sense_are_refused() {
    let s = server().await;
    let posts = [
        ("add", json!({"values": {"source": "pilot", "action": "no_retry"}})),
        ("add", json!({"values": {"source": "moon", "code": 1, "action": "no_retry"}})),
        ("add", json!({"values": {"source": "pilot", "code": "x", "action": "no_retry"}})),
        ("add", json!({"values": {"source": "pilot", "code": 1, "action": "limit_retry"}})),
        ("add", json!({"values": {"source": "pilot", "message": "(", "action": "no_retry"}})),
        ("add", json!({"values": {"id": 1, "source": "pilot", "code": 1, "action": "no_retry"}})),
        ("add", json!({"values": [1]})),
        ("add", json!({})),
        ("set", json!({"id": 1, "values": {"colour": "red"}})),
        ("set", json!({"id": 4_000, "values": {"active": false}})),
        ("set", json!({"values": {"active": false}})),
        ("remove", json!({"id": 1})),
        ("remove", json!({"id": 999})),
        ("remove", json!({"id": "one"})),
    ];
    let mut out = String::new();
    for (what, body) in posts {
        let reply = give(&s, what, "op", body.clone()).await;
        writeln!(out, "{what} {body}\n    {}", said(&reply)).unwrap();
    }
    for query in ["show?id=999", "show", "try", "try?job_id=5&code=7", "try?job_id=5", "try?source=moon&code=7", "try?code=0"] {
        writeln!(out, "{query}\n    {}", said(&ask(&s, query).await)).unwrap();
    }
    assert_snapshot!("refused_rules", out);
}

#[tokio::test]
async fn rules_are_the_matter_of_production() {
    let s = server().await;
    let values = json!({"source": "pilot", "code": 1305, "action": "no_retry"});
    for (what, body) in
        [("add", json!({"values": values})), ("set", json!({"id": 1, "values": {"active": false}})), ("remove", json!({"id": 1}))]
    {
        for by in ["alice", "pilot"] {
            let reply = give(&s, what, by, body.clone()).await;
            assert!(said(&reply).contains("role"), "{what} by {by}: {reply}");
        }
        let nobody = post(&format!("/api/panda/v1/retry_rule/{what}")).json(&body).send(&s).await;
        assert_ne!(nobody.json()["success"], json!(true), "{what} by nobody");
    }
    assert!(ask(&s, "list").await["data"].as_array().unwrap().iter().all(|r| r["origin"] == "shipped"));
}

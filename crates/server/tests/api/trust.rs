//! Granted roles, bans, API tokens, limits and the journal, over the router.

use std::sync::Arc;

use panda_access::{Identity, tokens};
use panda_server::ServerState;
use panda_server::limit::Limits;
use panda_server::trust::Trusted;
use serde_json::{Value, json};

use crate::support::{Names, Server, get, post, server};

/// The server of the other tests, with the installation's own word over its identities.
async fn trusting(per_minute: i64) -> Server {
    let mut s = server().await;
    let mut ops = panda_ops::Ops::new(s.state.ops.store.clone(), s.state.ops.clock.clone(), s.state.ops.options.clone());
    ops.sign = Some(Arc::new(|claims| Ok(unsigned(claims))));
    let ops = Arc::new(ops);
    let trusted = Arc::new(Trusted::new(ops.clone(), Arc::new(Names), None).await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(trusted.clone().follow(stopped));
    std::mem::forget(stop);
    let old = &s.state;
    s.state = Arc::new(ServerState {
        files: panda_server::file_server::store(&ops),
        ops,
        identity: trusted.clone(),
        bans: trusted,
        limits: Limits::new(per_minute),
        auth: old.auth.clone(),
        observer: old.observer.clone(),
        options: old.options.clone(),
    });
    s
}

/// A token with these claims; who made it counts, not its signature.
fn unsigned(claims: &[u8]) -> String {
    use base64::Engine as _;
    let b64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", b64(br#"{"alg":"ES256"}"#), b64(claims), b64(b"signature"))
}

/// Asks until the change has been noticed.
async fn until(s: &Server, by: &str, fits: impl Fn(&str) -> bool) -> String {
    let mut line = String::new();
    for _ in 0..500 {
        line = get("/api/panda/v1/whoami").by(by).send(s).await.line();
        if fits(&line) {
            return line;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never: {line}")
}

async fn call(s: &Server, path: &str, by: &str, body: Value) -> Value {
    let reply = post(&format!("/api/panda/v1/{path}")).by(by).json(&body).send(s).await;
    reply.json()
}

#[tokio::test]
async fn a_granted_role_and_a_ban_show_at_the_next_call() {
    let s = trusting(0).await;
    get("/api/panda/v1/user/list").by("alice").send(&s).await;
    get("/api/v1/task/get_tasks_detailed_info_since").by("alice").send(&s).await;
    assert_eq!(call(&s, "user/grant", "alice", json!({"name": "alice", "role": "operator"})).await["success"], json!(false));
    let given = call(&s, "user/grant", "op", json!({"name": "alice", "role": "operator"})).await;
    assert_eq!(given["data"]["reach"], json!("*"), "{given}");
    until(&s, "alice", |line| line.contains("operator")).await;
    let made = call(&s, "queue/add", "alice", json!({"name": "NEW"})).await;
    assert_eq!(made["success"], json!(true), "{made}");
    assert_eq!(call(&s, "user/revoke", "op", json!({"name": "alice", "role": "operator"})).await["success"], json!(true));
    until(&s, "alice", |line| !line.contains("operator")).await;
    let banned = call(&s, "user/ban", "op", json!({"name": "alice"})).await;
    assert_eq!(banned["success"], json!(true), "{banned}");
    let line = until(&s, "alice", |line| line.starts_with("403")).await;
    assert!(line.contains("ALICE Example is banned"), "{line}");
    assert!(get("/api/v1/metaconfig/get_banned_users").by("op").send(&s).await.line().contains("ALICE Example"));
    assert_eq!(call(&s, "user/unban", "op", json!({"name": "alice"})).await["success"], json!(true));
    until(&s, "alice", |line| line.starts_with("200")).await;
}

#[tokio::test]
async fn an_api_token_is_its_makers_within_its_scopes() {
    let s = trusting(0).await;
    let made = call(&s, "token/create", "alice", json!({"name": "ci", "scopes": ["read"], "days": 1})).await;
    let token = made["data"]["token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let line = until(&s, &token, |line| line.starts_with("200")).await;
    assert!(line.contains(r#""subject":"alice""#) && line.contains(r#""scopes":["read"]"#), "{line}");
    let refused = post("/api/v1/task/kill").by(&token).json(&json!({"task_id": 1})).send(&s).await.line();
    assert!(refused.contains("not made for `control`"), "{refused}");
    // Nor may it make another one.
    assert!(call(&s, "token/create", &token, json!({"name": "more"})).await["message"].as_str().unwrap().contains("not made for `admin`"));
    assert_eq!(call(&s, "token/revoke", "alice", json!({"name": "ci"})).await["data"]["state"], json!("revoked"));
    let line = until(&s, &token, |line| line.starts_with("403")).await;
    assert!(line.contains("revoked"), "{line}");
    assert!(get("/api/panda/v1/whoami").by(&unsigned(br#"{"iss":"urn:panda:token"}"#)).send(&s).await.line().contains("403"));
    assert_eq!(tokens::ISSUER, "urn:panda:token");
}

#[tokio::test]
async fn what_people_change_is_in_the_journal_and_secrets_are_not() {
    let s = trusting(0).await;
    call(&s, "queue/hold", "op", json!({"name": "Q1", "reason": "new disks"})).await;
    let secret = post("/api/v1/creds/set_user_secrets").by("alice").json(&json!({"key": "k", "value": "sesame"})).send(&s).await;
    assert!(secret.json()["success"] == json!(true), "{}", secret.line());
    post("/api/v1/task/kill").by("alice").json(&json!({"task_id": 7})).send(&s).await;
    let seen = get("/api/panda/v1/journal/list?area=api").by("op").send(&s).await.json();
    let lines: Vec<String> = seen["data"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| format!("{} {} {}: {}", l["who"], l["what"], l["subject"], l["doc"]["outcome"]))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(!seen.to_string().contains("sesame"));
    assert!(get("/api/panda/v1/journal/list").by("alice").send(&s).await.line().contains("vo-admin"));
    // What people of the VO did is for its administrators, what operators did too, who act for that VO here.
    assert!(!get("/api/panda/v1/journal/list").by("vera").send(&s).await.json()["data"]["lines"].as_array().unwrap().is_empty());
    assert_eq!(get("/api/panda/v1/journal/list").by("vera").header("origin", "flint").send(&s).await.json()["data"]["lines"], json!([]));
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_again() {
    let s = trusting(30).await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(get("/api/panda/v1/whoami").by("alice").send(&s).await.status.as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 200, 200, 429, 429], "ten seconds' worth of 30 a minute");
    assert_eq!(get("/api/panda/v1/whoami").by("bob").send(&s).await.status.as_u16(), 200);
    assert!(Names.authenticate(&panda_access::RequestIdentity::default()).unwrap().is_none());
}

#![allow(clippy::unwrap_used)]
use panda_access::{Role, Standing};
use serde_json::json;

use super::*;
use crate::testing::{World, alice, bob, operator, who};

fn admin() -> Principal {
    who("vera", &[Role::VoAdmin])
}
fn whom(name: &str) -> Whom<'_> {
    Whom { name, issuer: None }
}
fn of_amber(role: &str) -> What<'_> {
    What { role, vo: Some("amber"), ..What::default() }
}
async fn known(w: &World) {
    for p in [alice(), bob()] {
        w.ops.person(&p).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_is_granted_holds_and_is_taken_away() {
    let w = World::new().await;
    known(&w).await;
    let given = add(&w.ops, &admin(), whom("bob"), of_amber("production")).await.unwrap();
    assert_eq!((&given["role"], &given["reach"], &given["pending"]), (&json!("production"), &json!("vo:amber"), &json!(false)));
    let trust = trust::read(&w.ops).await.unwrap();
    let bob = std::sync::Arc::new(bob());
    assert!(trust.grants.apply(bob.clone(), |r| *r == Role::Production).is_production());
    assert!(!trust.grants.apply(bob.clone(), |_| false).is_production(), "production is asked for");
    assert_eq!(list(&w.ops, &admin(), None).await.unwrap()["grants"].as_array().unwrap().len(), 1);
    assert!(remove(&w.ops, &admin(), whom("bob"), of_amber("production")).await.unwrap());
    assert!(!remove(&w.ops, &admin(), whom("bob"), of_amber("production")).await.unwrap());
    assert_eq!(trust::read(&w.ops).await.unwrap(), trust::Trust::default());
}

#[tokio::test]
async fn who_has_not_come_yet_gets_it_at_the_first_call() {
    let w = World::new().await;
    let what = What { role: "operator", ..What::default() };
    assert!(add(&w.ops, &operator(), whom("carol"), what).await.unwrap_err().to_string().contains("--issuer"));
    let carol = Whom { name: "carol", issuer: Some("test") };
    assert_eq!(add(&w.ops, &operator(), carol, what).await.unwrap()["pending"], json!(true));
    let trust = trust::read(&w.ops).await.unwrap();
    assert_eq!((trust.pending.len(), trust.grants.of("test", "carol").count()), (1, 0));
    let person = Principal { nickname: "carol".into(), ..who("subject-1", &[]) };
    come(&w.ops, &person, &trust.pending).await.unwrap();
    let trust = trust::read(&w.ops).await.unwrap();
    assert_eq!((trust.pending.len(), trust.grants.of("test", "subject-1").count()), (0, 1), "it is the person's, not the name's");
}

#[tokio::test]
async fn a_grant_ends_by_itself() {
    let w = World::new().await;
    known(&w).await;
    let until_us = Some(w.ops.now().0 + 10_000_000);
    add(&w.ops, &admin(), whom("bob"), What { until_us, ..of_amber("pilot") }).await.unwrap();
    assert_eq!(trust::read(&w.ops).await.unwrap().grants.of("test", "bob").count(), 1);
    w.pass(10);
    assert_eq!(trust::read(&w.ops).await.unwrap().grants.of("test", "bob").count(), 0);
}

#[tokio::test]
async fn bans_lock_out_of_a_vo_or_of_everything() {
    let w = World::new().await;
    known(&w).await;
    ban(&w.ops, &admin(), whom("bob"), Some("amber"), None).await.unwrap();
    let bans = trust::read(&w.ops).await.unwrap().bans;
    let elsewhere = Principal { vo: Some("flint".into()), ..bob() };
    assert_eq!((bans.has(&bob()), bans.has(&elsewhere), bans.has(&alice())), (true, false, false));
    assert!(
        matches!(ban(&w.ops, &admin(), whom("bob"), None, None).await, Err(OpsError::Denied(_))),
        "only operators lock out of everything"
    );
    ban(&w.ops, &operator(), whom("bob"), None, None).await.unwrap();
    assert!(trust::read(&w.ops).await.unwrap().bans.has(&elsewhere));
    assert!(
        unban(&w.ops, &operator(), whom("bob"), None).await.unwrap() && unban(&w.ops, &admin(), whom("bob"), Some("amber")).await.unwrap()
    );
    assert!(!trust::read(&w.ops).await.unwrap().bans.has(&bob()));
}

#[tokio::test]
async fn what_cannot_be_granted_is_refused_with_what_to_do() {
    let w = World::new().await;
    known(&w).await;
    w.ops.person(&Principal { issuer: "other".into(), ..bob() }).await.unwrap();
    let mut all = Vec::new();
    for (by, name, what) in [
        (operator(), "alice", of_amber("king")),
        (operator(), "alice", What { role: "production", ..What::default() }),
        (operator(), "alice", What { role: "site-admin", ..What::default() }),
        (operator(), "alice", of_amber("operator")),
        (operator(), "alice", What { role: "pilot", site: Some("CERN"), ..What::default() }),
        (operator(), "alice", What { role: "production", vo: Some("nowhere"), ..What::default() }),
        (operator(), "bob", of_amber("production")),
        (operator(), "nobody", of_amber("production")),
        (admin(), "alice", What { role: "operator", ..What::default() }),
        (admin(), "alice", What { role: "site-admin", site: Some("CERN"), ..What::default() }),
        (alice(), "alice", of_amber("production")),
    ] {
        all.push(add(&w.ops, &by, whom(name), what).await.unwrap_err().to_string());
    }
    all.push(ban(&w.ops, &admin(), whom("nobody"), Some("amber"), None).await.unwrap_err().to_string());
    w.ops.person(&admin()).await.unwrap();
    all.push(ban(&w.ops, &admin(), whom("vera"), Some("amber"), None).await.unwrap_err().to_string());
    insta::assert_snapshot!(all.join("\n"));
    let one = Whom { name: "bob", issuer: Some("other") };
    assert_eq!(add(&w.ops, &operator(), one, of_amber("production")).await.unwrap()["issuer"], json!("other"));
}

#[test]
fn an_operator_of_a_token_with_scopes_is_no_operator_beyond_them() {
    let mut boss = operator();
    boss.standing = Standing { scopes: Some([panda_access::Scope::Read].into()), ..boss.standing };
    assert!(table::allowed(Right::UserChange, Some(&boss), None).is_err());
}

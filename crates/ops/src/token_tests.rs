#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use super::*;
use crate::testing::{World, alice, bob, operator, prod, who};
use crate::trust;

async fn world() -> World {
    let mut w = World::new().await;
    w.ops.sign = Some(Arc::new(|claims| Ok(format!("signed.{}", String::from_utf8_lossy(claims)))));
    w
}
fn ask(name: &str) -> Ask {
    Ask { name: name.into(), days: 30, ..Ask::default() }
}
fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|t| (*t).to_owned()).collect()
}

#[tokio::test]
async fn a_token_of_ones_own_holds_until_it_is_revoked_or_ends() {
    let w = world().await;
    let made = create(&w.ops, &alice(), &Ask { scopes: texts(&["read", "submit"]), ..ask("ci") }).await.unwrap();
    let text = made["token"].as_str().unwrap();
    let held = |trust: &trust::Trust| trust.tokens.get(&hash(text)).map(|t| t.principal.clone());
    let who = held(&trust::read(&w.ops).await.unwrap()).unwrap();
    assert!(who.owns(alice().owner()) && who.standing.scopes == Some([Scope::Read, Scope::Submit].into()));
    let listed = list(&w.ops, &alice()).await.unwrap();
    assert!(listed["tokens"][0].get("token").is_none() && !listed.to_string().contains("signed"), "the text is kept nowhere");
    assert_eq!(list(&w.ops, &bob()).await.unwrap()["tokens"], json!([]));
    assert!(revoke(&w.ops, &bob(), "ci").await.is_err());
    assert_eq!(revoke(&w.ops, &alice(), "ci").await.unwrap()["state"], json!("revoked"));
    assert!(held(&trust::read(&w.ops).await.unwrap()).is_none());
    create(&w.ops, &alice(), &ask("ci")).await.unwrap();
    assert_eq!(trust::read(&w.ops).await.unwrap().tokens.len(), 1);
    w.pass(30 * 86_400);
    assert_eq!(trust::read(&w.ops).await.unwrap().tokens.len(), 0);
    assert_eq!(list(&w.ops, &alice()).await.unwrap()["tokens"][1]["state"], json!("expired"));
    w.pass(31 * 86_400);
    create(&w.ops, &alice(), &ask("new")).await.unwrap();
    assert_eq!(list(&w.ops, &alice()).await.unwrap()["tokens"].as_array().unwrap().len(), 1, "old ones are forgotten");
}

#[tokio::test]
async fn robots_are_of_a_vo_or_of_the_whole_system() {
    let w = world().await;
    let admin = who("vera", &[Role::VoAdmin]);
    let of_vo = Ask { robot: Some("factory".into()), vo: Some("amber".into()), roles: texts(&["pilot"]), ..ask("factory") };
    let made = create(&w.ops, &admin, &of_vo).await.unwrap();
    let trust = trust::read(&w.ops).await.unwrap();
    let robot = trust.tokens.get(&hash(made["token"].as_str().unwrap())).unwrap().principal.clone();
    assert_eq!((robot.subject.as_str(), robot.worker_vo()), ("amber/factory", Some("amber")));
    let site = Ask { vo: None, ..of_vo.clone() };
    assert!(matches!(create(&w.ops, &admin, &site).await, Err(OpsError::Denied(_))));
    let made = create(&w.ops, &operator(), &site).await.unwrap();
    let trust = trust::read(&w.ops).await.unwrap();
    assert_eq!(trust.tokens.get(&hash(made["token"].as_str().unwrap())).unwrap().principal.worker_vo(), None);
    assert_eq!(list(&w.ops, &admin).await.unwrap()["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(list(&w.ops, &operator()).await.unwrap()["tokens"].as_array().unwrap().len(), 2);
    revoke(&w.ops, &admin, "factory").await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_what_to_do() {
    let w = world().await;
    create(&w.ops, &alice(), &ask("ci")).await.unwrap();
    let robot =
        |role: &str, vo: Option<&str>| Ask { robot: Some("r".into()), vo: vo.map(str::to_owned), roles: texts(&[role]), ..ask("r") };
    let mut narrow = alice();
    narrow.standing.scopes = Some([Scope::Admin].into());
    let mut all = Vec::new();
    for (by, ask) in [
        (alice(), ask("ci")),
        (alice(), ask(" ")),
        (alice(), Ask { days: 0, ..ask("a") }),
        (alice(), Ask { scopes: texts(&["all"]), ..ask("a") }),
        (alice(), Ask { roles: texts(&["production"]), ..ask("a") }),
        (alice(), Ask { vo: Some("flint".into()), ..ask("a") }),
        (narrow.clone(), ask("a")),
        (narrow, Ask { scopes: texts(&["read"]), ..ask("a") }),
        (prod(), robot("pilot", Some("amber"))),
        (operator(), robot("operator", None)),
        (operator(), robot("production", None)),
        (operator(), robot("pilot", Some("nowhere"))),
    ] {
        all.push(create(&w.ops, &by, &ask).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(all.join("\n"));
    assert!(create(&w.ops, &prod(), &Ask { roles: texts(&["production"]), ..ask("p") }).await.is_ok());
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::{World, alice, prod};
use panda_core::task::state::TaskState;
use serde_json::json;

const PARAMS: &str =
    r#"{"taskName":"t","noInput":true,"nEvents":4,"nEventsPerJob":1,"ramCount":2000,"jobParameters":[{"type":"constant","value":"x"}]}"#;

async fn stored(w: &World, id: TaskId) -> Value {
    serde_json::from_str(&task::list::params(&w.ops.store, id).await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_changeable_rule_changes_the_parameter() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, PARAMS).await;
    let rev = async || task::list::get(&w.ops.store, id).await.unwrap().unwrap().doc_rev;
    let before = rev().await;
    assert_eq!(change_split_rule(&w.ops, &prod(), id, "MF", "5").await.unwrap(), "1 tasks changed");
    assert_eq!((&stored(&w, id).await["nMaxFilesPerJob"], rev().await), (&json!(5), before + 1));
    change_split_rule(&w.ops, &prod(), id, "LC", "1").await.unwrap();
    assert_eq!(stored(&w, id).await["noLoopingCheck"], true);
    change_split_rule(&w.ops, &prod(), id, "MF", "None").await.unwrap();
    assert_eq!(stored(&w, id).await.get("nMaxFilesPerJob"), None);
    assert_eq!(change_split_rule(&w.ops, &prod(), TaskId(1), "MF", "5").await.unwrap_err().to_string(), "Task not found");
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_with_a_sentence() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, PARAMS).await;
    let refused = async |code: &str, value: &str| match change_split_rule(&w.ops, &prod(), id, code, value).await.unwrap_err() {
        OpsError::Refused { code, message } => (code, message),
        other => panic!("{other}"),
    };
    let (code, text) = refused("AE", "1").await;
    assert_eq!(code, Some(2));
    let valid = "AI,AV,CC,EC,ES,IL,IM,LC,LI,MF,NF,NG,NI,NJ,NP,OT,TW,UZ";
    assert_eq!(text, format!("split rule `AE` cannot be changed on a live task; these can: {valid}"));
    let (code, text) = refused("UZ", "1").await;
    assert_eq!(code, Some(2));
    assert!(text.starts_with("split rule UZ (useZipToPin) has no effect here: inputs are not zipped"), "{text}");
    let (_, text) = refused("MF", "many").await;
    assert_eq!(text, "MF=many makes no sense: a whole number between 1 and 1000 is expected");
    change_attribute(&w.ops, &prod(), id, "coreCount", 8).await.unwrap();
    let (_, text) = refused("CC", "3").await;
    assert_eq!(text, "new_parameters: parameter `maxCoreCount`: is 3, but `coreCount` asks for 8");
}

#[tokio::test]
async fn attributes_are_parameters() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Running, PARAMS).await;
    let mut batch = Batch::new();
    let raised = Adjust { ram_mb: Some(4_000), max_files: Some(3), ..Adjust::default() };
    task::transition::set_adjust(&mut batch, id, &raised.to_text());
    w.ops.store.apply(batch).await.unwrap();
    change_attribute(&w.ops, &prod(), id, "ramCount", 3_000).await.unwrap();
    change_attribute(&w.ops, &prod(), id, "wallTime", 600).await.unwrap();
    let (params, adjust) = task::list::doc(&w.ops.store, id).await.unwrap().unwrap();
    let typed = TaskParameters::from_value(serde_json::from_str(&params).unwrap()).unwrap();
    let adjust = Adjust::parse(adjust.as_deref()).unwrap();
    let stated = ["ramCount", "walltime"].map(str::to_owned).to_vec();
    assert_eq!(adjust, Adjust { max_files: Some(3), stated, ..Adjust::default() }, "what a person says goes before what the engine raised");
    let plan = Plan::of(&typed, &adjust).unwrap();
    assert_eq!((plan.ram_mb, plan.walltime_s), (3_000, 600));
    let text = change_attribute(&w.ops, &prod(), id, "priority", 1).await.unwrap_err().to_string();
    assert_eq!(text, "attribute `priority` cannot be changed; these can: ramCount, wallTime, cpuTime, coreCount");
    let text = change_attribute(&w.ops, &prod(), id, "coreCount", -1).await.unwrap_err().to_string();
    assert_eq!(text, "new_parameters: parameter `coreCount`: is -1; give 0 or more");
    assert!(change_attribute(&w.ops, &alice(), id, "ramCount", 1).await.is_err(), "production only");
}

//! What a pilot gets where the settings of VOs differ.

#![allow(clippy::unwrap_used)]

use panda_core::{
    id::{JobId, QueueId},
    job::state::JobState,
    machine::Actor,
    policy::share::UNDEFINED,
};
use panda_store::{Batch, IdKind, query::job};
use serde_json::Value;

use super::*;
use crate::{
    queue::LaneOf,
    setting,
    testing::{World, alice, operator, site_pilot},
};

/// An activated job of a VO and label that asks for so much memory, MB.
async fn job(w: &World, queue: QueueId, vo: &str, label: &str, ram_mb: i64) -> i64 {
    let pattern = w.job(&alice(), None, queue, JobState::Failed).await;
    let pattern = w.job_row(pattern).await;
    let lane = w.ops.lane(&LaneOf { queue, vo, label, share: UNDEFINED, resource_type: "SCORE", ram_mb }).await.unwrap();
    let mut row = job::JobRow { ram_mb, lane_id: Some(lane), vo: vo.into(), label: label.into(), ended_us: None, rev: 0, ..pattern };
    (row.id, row.state) = (JobId(w.ops.store.id(IdKind::Job).await.unwrap()), JobState::Activated);
    let mut batch = Batch::new();
    job::transition::add(&mut batch, &row, 0, "\"jobPars\":\"x\"", Actor::Engine).unwrap();
    w.ops.store.apply(batch).await.unwrap();
    row.id.0
}
async fn get(w: &World, label: &str, memory_mb: i64, n: u32) -> Vec<i64> {
    let ask = Ask { queue: "LOCAL".into(), label: Some(label.into()), memory_mb, n, ..Ask::default() };
    let answers = acquire(&w.ops, &site_pilot(), &ask).await.unwrap();
    let mut ids: Vec<i64> = answers.iter().map(|a| serde_json::from_str::<Value>(a).unwrap()["PandaID"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// engine.md 20.4: a VO's own part of the memory, in one call with others.
#[tokio::test]
async fn a_vo_has_its_own_part_of_the_memory() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    setting::set(&w.ops, &operator(), MEMORY_PERCENT.name, "flint", "", "50").await.unwrap();
    let mut ids = Vec::new();
    for vo in ["amber", "flint"] {
        for ram_mb in [900, 2_000] {
            ids.push(job(&w, q, vo, "user", ram_mb).await);
        }
    }
    assert_eq!(get(&w, "user", 1_000, 10).await, [ids[0], ids[2], ids[3]]);
    assert_eq!(get(&w, "user", 1_700, 10).await, [0; 0]);
    assert_eq!(get(&w, "user", 1_800, 10).await, [ids[1]]);
}

/// As above, when jobs are taken by their age.
#[tokio::test]
async fn so_it_has_when_the_oldest_is_taken() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    setting::set(&w.ops, &operator(), MEMORY_PERCENT.name, "flint", "", "50").await.unwrap();
    setting::set(&w.ops, &operator(), "dispatch.age_percent", "", "", "100").await.unwrap();
    let large = job(&w, q, "amber", "user", 2_000).await;
    let theirs = job(&w, q, "flint", "user", 2_000).await;
    assert_eq!(get(&w, "user", 1_000, 1).await, [theirs]);
    assert_eq!(get(&w, "user", 1_800, 1).await, [large]);
}

/// engine.md 16.3: the classes that a request may take are those of each VO.
#[tokio::test]
async fn a_vo_has_its_own_classes_of_labels() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    setting::set(&w.ops, &operator(), "label.class", "flint", "evgen", "analysis").await.unwrap();
    let own = job(&w, q, "amber", "evgen", 0).await;
    let theirs = job(&w, q, "flint", "evgen", 0).await;
    let user = job(&w, q, "amber", "user", 0).await;
    assert_eq!(get(&w, "evgen", 0, 1).await.len(), 1);
    assert_eq!(get(&w, "evgen", 0, 10).await.len(), 1);
    assert_eq!(get(&w, "evgen", 0, 10).await, [0; 0], "{user} has another class");
    assert_eq!(get(&w, "user", 0, 10).await, [user]);
    let states = [w.job_row(JobId(own)).await.state, w.job_row(JobId(theirs)).await.state];
    assert_eq!(states, [JobState::Sent; 2]);
}

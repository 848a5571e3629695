//! Every reason to wait and every bad end, with its sentences, as they are told: one picture for all.

use std::fmt::Write as _;

use panda_core::{job::state::JobState, task::state::TaskState};
use panda_store::query::{job::JobRow, task::TaskRow};
use serde_json::json;

use super::{failed, job, queue, task};
use crate::{
    hold::operator,
    testing::{World, alice, prod},
};

fn told(out: &mut String, what: &str, because: &[String], frees: &[String]) {
    writeln!(out, "{what}").unwrap();
    for (word, lines) in [("because", because), ("frees", frees)] {
        for line in lines {
            writeln!(out, "    {word}: {line}").unwrap();
        }
    }
}

#[tokio::test]
async fn jobs_in_every_state() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let id = w.job(&alice(), None, q, JobState::Activated).await;
    let row = JobRow { host: Some("node7".into()), ..w.job_row(id).await };
    let mut out = String::new();
    let seen = Some(w.ops.now().0);
    for state in JobState::ALL.iter().copied().filter(|s| *s != JobState::Activated && !failed::is_bad(*s)) {
        let plain = JobRow { state, ..row.clone() };
        let mut cases = vec![(String::new(), plain.clone(), seen)];
        if matches!(state, JobState::Pending | JobState::Defined) {
            cases.push((" without a queue".into(), JobRow { queue_id: None, ..plain.clone() }, seen));
            cases.push((" with a library".into(), JobRow { wait_job: Some(id), ..plain.clone() }, seen));
        }
        if state == JobState::Sent {
            cases.push((" never heard of".into(), JobRow { host: None, ..plain }, None));
        }
        for (what, j, seen) in cases {
            let (mut because, mut frees) = (vec![], vec![]);
            job::by_state(&j, seen, &mut because, &mut frees);
            told(&mut out, &format!("{state}{what}"), &because, &frees);
        }
    }
    insta::assert_snapshot!("jobs", out);
}

#[tokio::test]
async fn tasks_in_every_state() {
    let w = World::new().await;
    let id = w.task(&alice(), TaskState::Registered, "{}").await;
    let row = w.task_row(id).await;
    let mut out = String::new();
    for state in TaskState::ALL.iter().copied() {
        let reason = (state == TaskState::Pending).then(|| "no queue has 9000 MB of memory".to_owned());
        let (because, frees) = task::by_state(&TaskRow { state, reason, ..row.clone() }, &[], &[]);
        told(&mut out, state.as_str(), &because, &frees);
    }
    insta::assert_snapshot!("tasks", out);
}

#[tokio::test]
async fn queues_that_hold_their_jobs() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let mut out = String::new();
    let tell = async |out: &mut String, what: &str| {
        let (because, frees) = queue(&w.ops, q).await.unwrap();
        told(out, what, &[because], &[frees]);
    };
    tell(&mut out, "no pilot yet").await;
    crate::pilot::seen::note(&w.ops, q).await.unwrap();
    tell(&mut out, "a pilot").await;
    w.pass(3_600);
    tell(&mut out, "no pilot any more").await;
    operator::hold(&w.ops, &prod(), "LOCAL", "the disks are full").await.unwrap();
    tell(&mut out, "held by an operator").await;
    operator::release(&w.ops, &prod(), "LOCAL").await.unwrap();
    for place in [Some("LOCAL"), None] {
        operator::drain(&w.ops, &prod(), place, "maintenance").await.unwrap();
        tell(&mut out, if place.is_some() { "drained" } else { "the server drained" }).await;
        operator::undrain(&w.ops, &prod(), place).await.unwrap();
    }
    for state in ["offline", "paused"] {
        let change = json!({"state": state});
        crate::queue::change::set(&w.ops, &prod(), "LOCAL", change.as_object().unwrap()).await.unwrap();
        tell(&mut out, state).await;
    }
    insta::assert_snapshot!("queues", out);
}

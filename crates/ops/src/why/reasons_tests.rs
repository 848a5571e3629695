//! Every reason to wait and every bad end, with its sentences, as they are told: one picture for all.

use std::fmt::Write as _;

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, QueueId},
    job::state::JobState,
    policy::{
        brake::{Finding, HoldKind, HoldState, Peers},
        throttle,
    },
    task::state::TaskState,
};
use panda_store::query::{
    hold::{EVERY_NODE, HoldRow, SERVER},
    job::JobRow,
    task::{self, TaskRow},
};
use serde_json::json;

use super::{failed, job, queue, states};
use crate::{
    hold::{operator as holds, sentences},
    testing::{START_US, World, alice, operator},
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
        for mark in ["capped_user", "capped_group", "capped_vo"].into_iter().filter(|_| state == JobState::Throttled) {
            cases.push((format!(" {mark}"), JobRow { sub_state: Some(mark.into()), ..plain.clone() }, seen));
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
    let d = w.dataset(id, FileRole::Input, 0, &[("a", FileState::Finished), ("b", FileState::Failed), ("c", FileState::Ready)]).await;
    let sets = task::dataset::of_task(&w.ops.store, id).await.unwrap();
    assert_eq!(sets[0].id, d);
    let row = w.task_row(id).await;
    let settings = w.ops.settings().await.unwrap();
    let mut out = String::new();
    for state in TaskState::ALL.iter().copied() {
        let reason = match state {
            TaskState::Pending => Some("no queue has 9000 MB of memory"),
            TaskState::Throttled => Some("its unfinished input files failed 10 times on average; throttle 2, it goes on after 8 h"),
            _ => None,
        };
        let t = TaskRow { state, reason: reason.map(str::to_owned), n_throttled: 2, ..row.clone() };
        let counts = [("running".to_owned(), 2), ("finished".to_owned(), 5)];
        let jobs = if state == TaskState::Ready { &counts[..0] } else { &counts[..] };
        let (because, frees) = states::by_state(&t, &sets, jobs, &settings);
        assert!(!because.is_empty() && (!frees.is_empty() || state.is_final() || state.is_generating()), "{state} says nothing");
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
    holds::hold(&w.ops, &operator(), "LOCAL", "the disks are full").await.unwrap();
    tell(&mut out, "held by an operator").await;
    holds::release(&w.ops, &operator(), "LOCAL").await.unwrap();
    for place in [Some("LOCAL"), None] {
        holds::drain(&w.ops, &operator(), place, "maintenance").await.unwrap();
        tell(&mut out, if place.is_some() { "drained" } else { "the server drained" }).await;
        holds::undrain(&w.ops, &operator(), place).await.unwrap();
    }
    for state in ["offline", "paused"] {
        let change = json!({"state": state});
        crate::queue::change::set(&w.ops, &operator(), "LOCAL", change.as_object().unwrap()).await.unwrap();
        tell(&mut out, state).await;
    }
    insta::assert_snapshot!("queues", out);
}

#[test]
fn limits_that_hold_tasks() {
    let mut out = String::new();
    for row in throttle::Row::ALL {
        writeln!(out, "{row}: {}", throttle::sentence("Simulation", "MCORE", *row, 2_001, 2_000, 7)).unwrap();
    }
    for (unit, queued) in [("jobs", false), ("cores", false), ("jobs", true), ("cores", true)] {
        let reached = throttle::Reached { unit, queued, found: 95, limit: 95 };
        writeln!(out, "cap: {}", reached.sentence("user `alice`")).unwrap();
    }
    insta::assert_snapshot!("limits", out);
}

#[test]
fn holds_of_queues_and_machines() {
    let mut out = String::new();
    for (place, node) in [("queue", None), ("machine", Some("node7".to_owned()))] {
        let finding =
            Finding { machine: node, ended: 40, failed: 36, system: 30, tasks: 3, people: 4, peers: Peers::default(), running: 0 };
        writeln!(out, "found of a {place}\n    {}", finding.sentence(60)).unwrap();
    }
    let row = |kind, state, node: &str, queue: i64| HoldRow {
        queue_id: QueueId(queue),
        node: node.into(),
        kind,
        state,
        reason: "36 of 40 jobs failed".into(),
        who: "prod".into(),
        since_us: START_US,
        next_us: START_US + 600_000_000,
        wait_s: 600,
        tries: 1,
        job_id: (state == HoldState::Trial).then_some(JobId(7)),
        rev: 1,
    };
    for node in [EVERY_NODE, "node7"] {
        for state in [HoldState::Held, HoldState::Trial] {
            let (because, frees) = sentences(&row(HoldKind::Brake, state, node, 5), "LOCAL");
            told(&mut out, &format!("brake {state} {node}"), &[because], &[frees]);
        }
    }
    for (kind, queue) in [(HoldKind::Operator, 5), (HoldKind::Drain, 5), (HoldKind::Drain, SERVER.0)] {
        let (because, frees) = sentences(&row(kind, HoldState::Held, EVERY_NODE, queue), "LOCAL");
        told(&mut out, &format!("{kind} of {queue}"), &[because], &[frees]);
    }
    insta::assert_snapshot!("holds", out);
}

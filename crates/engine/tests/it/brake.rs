//! Holds: the automatic brake with its canary jobs, black holes, operators' holds, drains.

use panda_core::{
    id::{JobId, QueueId},
    job::report::Reported,
    policy::brake::{HoldKind, HoldState},
    task::state::TaskState,
};
use panda_ops::{
    hold::{self, canary, operator},
    pilot::acquire::{Ask, acquire},
    setting, task, why,
};
use panda_store::query::{decision, hold as rows, hold::HoldRow, journal, task::list as task_list};
use serde_json::{Value, json};

use crate::world::{World, alice, pilot, prun, who, with_output};

/// Failed to stage in: the system's fault.
const STAGE_IN: i64 = 1099;
/// Failed to execute payload.
const PAYLOAD: i64 = 1305;

async fn fail(w: &World, job: &Value, code: i64) {
    w.report(job, Reported::Running, |_| {}).await;
    w.report(job, Reported::Failed, |u| {
        u.errors.insert("pilot_error_code".into(), json!(code));
        u.errors.insert("pilot_error_diag".into(), json!("it went wrong"));
    })
    .await;
    w.settle().await;
}
/// The end of a job on a node: well, or with a pilot's error code.
async fn end(w: &World, job: &Value, node: &str, code: Option<i64>) {
    let stored = w.store(job, "x");
    let state = if code.is_some() { Reported::Failed } else { Reported::Finished };
    w.report(job, state, |u| {
        u.node = Some(node.into());
        match code {
            Some(code) => drop(u.errors.insert("pilot_error_code".into(), json!(code))),
            None => u.report = Some(stored),
        }
    })
    .await;
    w.settle().await;
}
async fn on(w: &World, node: &str, n: u32) -> Option<Value> {
    let ask = Ask { queue: "LOCAL".into(), label: Some("unified".into()), node: Some(node.into()), n, ..Ask::default() };
    let jobs = acquire(&w.ops, &pilot(), &ask).await.unwrap();
    assert!(jobs.len() <= 1);
    jobs.first().map(|j| serde_json::from_str(j).unwrap())
}
async fn limits(w: &World, min_jobs: i64, node_min_jobs: i64) {
    for (name, n) in [("brake.min_jobs", min_jobs), ("brake.node_min_jobs", node_min_jobs)] {
        setting::set(&w.ops, &crate::world::operator(), name, "", "", &n.to_string()).await.unwrap();
    }
}
async fn many_jobs(w: &World, name: &str, n: i64) -> panda_core::id::TaskId {
    let mut params = with_output(prun(name, n), "out.txt");
    params["maxAttempt"] = json!(50);
    let id = w.submit(params).await;
    w.settle().await;
    id
}
async fn brake(w: &World) -> Option<HoldRow> {
    rows::list(&w.ops.store).await.unwrap().into_iter().find(|h| h.kind == HoldKind::Brake)
}
async fn told(w: &World, area: &str) -> Vec<String> {
    let mut lines = journal::list(&w.ops.store, Some(area), i64::MAX, 100).await.unwrap();
    lines.reverse();
    lines.into_iter().map(|l| format!("{}: {}", l.subject, l.what)).collect()
}
async fn queue(w: &World) -> QueueId {
    w.ops.queue("LOCAL").await.unwrap().unwrap().id
}

/// Four failures of the system hold the queue; a canary job that fails doubles the wait, one that ends well releases it.
async fn a_failing_queue_is_held_until_a_canary_ends_well(w: &World) {
    limits(w, 4, 100).await;
    let id = many_jobs(w, "user.alice.t", 3).await;
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        fail(w, &job, STAGE_IN).await;
    }
    let held = brake(w).await.unwrap();
    assert_eq!((held.state, held.wait_s), (HoldState::Held, 600));
    let reason = "4 of 4 jobs that ended in 60 minutes failed, 4 of them by the system's fault, of 1 tasks and 1 people";
    assert_eq!(held.reason, reason);
    assert!(w.job().await.is_none(), "nothing is handed out");

    // Everybody who waits reads why, and what frees it.
    let said = why::task::why(&w.ops, &alice(), id).await.unwrap();
    let because = said["because"].to_string();
    assert!(because.contains(&format!("2 jobs wait for a pilot: queue LOCAL is held since 2026-01-02 03:04:05: {reason}")), "{because}");
    assert_eq!(
        said["frees"][1],
        json!("a canary job that ends well; the next one may go at 2026-01-02 03:14:05; or `panda queue release LOCAL`")
    );
    let record = decision::list(&w.ops.store, hold::subject(queue(w).await)).await.unwrap();
    assert!(record[0].stage == "brake" && record[0].doc.contains(reason), "{record:?}");
    // Brokerage sends nothing there.
    let other = many_jobs(w, "user.alice.other", 1).await;
    assert_eq!(w.task(other).await.state, TaskState::Pending);

    // One canary job, not five; its failure doubles the wait.
    w.pass(600);
    let canary = on(w, "n1", 5).await.unwrap();
    assert!(on(w, "n2", 5).await.is_none() && w.job().await.is_none());
    let trial = brake(w).await.unwrap();
    assert_eq!((trial.state, trial.job_id.map(|j| j.0)), (HoldState::Trial, canary["PandaID"].as_i64()));
    fail(w, &canary, STAGE_IN).await;
    let held = brake(w).await.unwrap();
    assert_eq!((held.state, held.wait_s, held.tries, held.job_id), (HoldState::Held, 1_200, 1, None));
    w.pass(1_199);
    assert!(w.job().await.is_none());
    w.pass(1);
    let canary = w.job().await.unwrap();
    w.finish(&canary, "x").await;
    w.settle().await;
    assert_eq!(brake(w).await.unwrap().state, HoldState::Free);
    assert!(decision::list(&w.ops.store, hold::subject(queue(w).await)).await.unwrap().is_empty());
    // The old failures do not count again, and the dispatch goes on; what brokerage held comes back within a minute, the other task's, too.
    w.pass(61);
    w.settle().await;
    for _ in 0..3 {
        let job = w.job().await.unwrap();
        w.finish(&job, "x").await;
        w.settle().await;
    }
    assert_eq!((w.task(id).await.state, w.task(other).await.state), (TaskState::Done, TaskState::Done));
    let steps = ["held", "canary sent", "canary failed", "canary sent", "released"];
    assert_eq!(told(w, "brake").await, steps.map(|s| format!("queue LOCAL: {s}")));
    w.pass(3_700);
    w.settle().await;
    assert_eq!(brake(w).await, None, "nothing is left of it");
}

/// Where no job waits a tiny one is made, and goes the normal way.
async fn a_canary_is_made_where_no_job_waits(w: &World) {
    limits(w, 4, 100).await;
    let id = many_jobs(w, "user.alice.t", 4).await;
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        fail(w, &job, STAGE_IN).await;
    }
    task::command::kill(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Aborted);
    w.pass(600);
    w.settle().await;
    let canary = w.job().await.unwrap();
    assert_eq!((&canary["processingType"], &canary["prodSourceLabel"]), (&json!("canary"), &json!("user")));
    assert!(canary["transformation"].as_str().unwrap().ends_with("/trf/user/runGen-00-00-02"), "{canary}");
    w.settle().await;
    assert!(w.job().await.is_none(), "one at a time");
    w.finish(&canary, "log").await;
    w.settle().await;
    assert_eq!(brake(w).await.unwrap().state, HoldState::Free);
    assert_eq!(told(w, "brake").await[1], "queue LOCAL: canary made");
}

/// Failed payloads of one user hold nothing; a failed payload as a canary tells nothing, and the next pilot tries another job.
async fn one_user_s_broken_code_holds_nothing(w: &World) {
    limits(w, 4, 4).await;
    many_jobs(w, "user.alice.t", 3).await;
    for _ in 0..8 {
        let job = w.job().await.unwrap();
        fail(w, &job, PAYLOAD).await;
    }
    assert_eq!(brake(w).await, None);
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        fail(w, &job, STAGE_IN).await;
    }
    assert_eq!(brake(w).await.unwrap().state, HoldState::Held);
    w.pass(600);
    let canary = w.job().await.unwrap();
    fail(w, &canary, PAYLOAD).await;
    let held = brake(w).await.unwrap();
    assert_eq!((held.state, held.wait_s, held.tries), (HoldState::Held, 600, 0));
    let canary = w.job().await.unwrap();
    w.finish(&canary, "x").await;
    // A task on hold is looked at again after a tenth of the time that it has been on hold.
    w.pass(70);
    w.settle().await;
    assert!(w.job().await.is_some());
}

/// Payloads of three people fail: that is no one user's code.
async fn everybody_s_payloads_hold_a_queue(w: &World) {
    limits(w, 6, 100).await;
    for name in ["ann", "ben", "cy"] {
        let params = with_output(prun(&format!("user.{name}.t"), 2), "out.txt");
        task::submit::submit(&w.ops, &who(name, &[]), params, None).await.unwrap();
    }
    w.settle().await;
    for n in 0..6 {
        assert_eq!(brake(w).await, None, "after {n}");
        let job = w.job().await.unwrap();
        fail(w, &job, PAYLOAD).await;
    }
    assert!(brake(w).await.unwrap().reason.contains("0 of them by the system's fault, of 3 tasks and 3 people"));
}

/// A machine on which everything fails while the rest does well is held alone.
async fn a_black_hole_is_held_and_the_queue_goes_on(w: &World) {
    limits(w, 20, 3).await;
    many_jobs(w, "user.alice.t", 12).await;
    for n in 0..3 {
        let job = on(w, "slot1@good", 1).await.unwrap();
        end(w, &job, "slot1@good", None).await;
        let node = format!("slot{n}@hole");
        let job = on(w, &node, 1).await.unwrap();
        end(w, &job, &node, Some(PAYLOAD)).await;
    }
    let held = brake(w).await.unwrap();
    assert_eq!((held.node.as_str(), held.state), ("hole", HoldState::Held));
    assert!(on(w, "slot9@hole", 1).await.is_none());
    let job = on(w, "slot1@good", 1).await.unwrap();
    end(w, &job, "slot1@good", None).await;
    w.pass(600);
    let canary = on(w, "slot9@hole", 5).await.unwrap();
    assert!(on(w, "slot8@hole", 1).await.is_none());
    end(w, &canary, "slot9@hole", None).await;
    w.settle().await;
    assert!(on(w, "slot8@hole", 1).await.is_some());
    assert_eq!(told(w, "brake").await, ["held", "canary sent", "released"].map(|s| format!("hole of queue LOCAL: {s}")));
}

/// Failures come first: on a queue whose jobs have run for less time than they take, the failed ones are all that ended. Those that started with
/// them and run on speak for it; where nothing survives the first minutes it is held at once, whatever has been running there for long.
async fn a_young_queue_is_not_held_for_its_early_failures(w: &World) {
    limits(w, 4, 4).await;
    many_jobs(w, "user.alice.t", 60).await;
    let mut running = Vec::new();
    for n in 0..35 {
        let job = on(w, &format!("slot{n}@n{}", n % 5), 1).await.unwrap();
        w.report(&job, Reported::Running, |_| {}).await;
        running.push(job);
    }
    w.pass(300);
    w.settle().await;
    // Four of thirty-five fail after five minutes, on two machines.
    for n in [0, 1, 5, 6] {
        let node = format!("slot{n}@n{}", n % 5);
        w.pass(1);
        end(w, &running[n], &node, Some(STAGE_IN)).await;
    }
    assert_eq!(brake(w).await, None, "31 run on for as long");
    // The storage breaks: whatever starts now fails at once, and those that started long ago tell nothing of that.
    w.pass(1_200);
    for n in 0..4 {
        assert_eq!(brake(w).await, None, "after {n}");
        let job = on(w, "slot30@n9", 1).await.unwrap();
        w.report(&job, Reported::Running, |_| {}).await;
        w.pass(20);
        end(w, &job, "slot30@n9", Some(STAGE_IN)).await;
    }
    let held = brake(w).await.unwrap();
    assert_eq!((held.node.as_str(), held.state), ("*", HoldState::Held));
    assert!(held.reason.starts_with("8 of 8 jobs that ended in 60 minutes failed"), "{}", held.reason);
}

/// What holds a machine is weighed against what runs on there, not against the other machines.
async fn a_machine_that_keeps_its_jobs_is_not_held(w: &World) {
    limits(w, 50, 2).await;
    many_jobs(w, "user.alice.t", 60).await;
    let on_node = async |node: &str, n: usize| {
        let mut jobs = Vec::new();
        for k in 0..n {
            let slot = format!("slot{k}@{node}");
            let job = on(w, &slot, 1).await.unwrap();
            w.report(&job, Reported::Running, |u| u.node = Some(slot)).await;
            jobs.push(job);
        }
        jobs
    };
    let (large, hole, other) = (on_node("large", 12).await, on_node("hole", 3).await, on_node("other", 8).await);
    w.pass(60);
    for job in &other {
        end(w, job, "slot1@other", None).await;
    }
    for (jobs, node) in [(&large, "large"), (&hole, "hole")] {
        for (k, job) in jobs.iter().take(2).enumerate() {
            end(w, job, &format!("slot{k}@{node}"), Some(STAGE_IN)).await;
        }
    }
    assert_eq!(brake(w).await.map(|h| h.node).as_deref(), Some("hole"), "two of three, and two of twelve");
    let n = rows::list(&w.ops.store).await.unwrap().len();
    assert_eq!(n, 1);
}

/// A process that died after it let a pilot through leaves nothing stuck.
async fn a_canary_that_was_never_handed_out_is_given_up(w: &World) {
    limits(w, 4, 100).await;
    many_jobs(w, "user.alice.t", 2).await;
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        fail(w, &job, STAGE_IN).await;
    }
    w.pass(600);
    let h = brake(w).await.unwrap();
    assert!(canary::take(&w.ops, &h).await.unwrap());
    assert!(!canary::take(&w.ops, &h).await.unwrap(), "only one gets through");
    w.settle().await;
    assert!(w.job().await.is_none());
    w.pass(61);
    w.settle().await;
    let canary = w.job().await.unwrap();
    w.finish(&canary, "x").await;
    w.settle().await;
    assert_eq!(brake(w).await.unwrap().state, HoldState::Free);
    w.pass(61);
    w.settle().await;
    assert!(w.job().await.is_some());
}

/// Drained, the server hands out nothing; what runs goes on, and so does everything else.
async fn a_drain_stops_the_dispatch_only(w: &World) {
    let id = many_jobs(w, "user.alice.t", 2).await;
    let running = w.job().await.unwrap();
    w.report(&running, Reported::Running, |_| {}).await;
    let refused = operator::drain(&w.ops, &alice(), None, "no").await.unwrap_err().to_string();
    assert!(refused.contains("role"), "{refused}");
    assert!(operator::drain(&w.ops, &crate::world::operator(), None, " ").await.unwrap_err().to_string().contains("give a reason"));
    operator::drain(&w.ops, &crate::world::operator(), None, "new disks").await.unwrap();
    assert!(w.job().await.is_none());
    // It lasts, whatever is started anew.
    let again = panda_ops::Ops::new(w.ops.store.clone(), w.clock.clone(), w.ops.options.clone());
    let ask = Ask { queue: "LOCAL".into(), label: Some("unified".into()), n: 1, ..Ask::default() };
    assert!(acquire(&again, &pilot(), &ask).await.unwrap().is_empty());
    assert!(!panda_ops::pilot::wait::wait(&w.ops, "LOCAL", std::time::Duration::ZERO).await.unwrap());
    // Heartbeats, reports, new tasks, jobs made: as ever.
    assert_eq!(w.report(&running, Reported::Running, |_| {}).await, "NULL");
    w.finish(&running, "x").await;
    let other = many_jobs(w, "user.alice.other", 1).await;
    assert_eq!(w.task(other).await.state, TaskState::Running);
    let said = why::task::why(&w.ops, &alice(), id).await.unwrap();
    let sentence = "1 jobs wait for a pilot: the server hands out no jobs since 2026-01-02 03:04:05, drained by operator: new disks";
    assert!(said["because"].as_array().unwrap().contains(&json!(sentence)), "{}", said["because"]);
    assert_eq!(said["frees"], json!(["`panda undrain`"]));
    let waiting = panda_store::query::job::list::of_task(&w.ops.store, other, JobId(0), 1).await.unwrap()[0].id;
    let said = why::job::why(&w.ops, &alice(), waiting).await.unwrap();
    assert!(said["because"][0].as_str().unwrap().contains("drained by operator: new disks"), "{said}");
    assert_eq!(hold::list(&w.ops).await.unwrap()[0]["kind"], json!("drain"));
    assert_eq!(operator::undrain(&w.ops, &crate::world::operator(), None).await.unwrap(), 1);
    assert_eq!(operator::undrain(&w.ops, &crate::world::operator(), None).await.unwrap(), 0);
    assert!(w.job().await.is_some());

    // One queue alone.
    operator::drain(&w.ops, &crate::world::operator(), Some("LOCAL"), "its disks").await.unwrap();
    assert!(w.job().await.is_none());
    assert!(operator::drain(&w.ops, &crate::world::operator(), Some("NOWHERE"), "x").await.is_err());
    // A worker that waits is told, and finds the queue open.
    let worker = async {
        loop {
            let minute = std::time::Duration::from_secs(60);
            panda_ops::pilot::wait::wait(&w.ops, "LOCAL", minute).await.unwrap();
            if w.job().await.is_some() {
                return;
            }
        }
    };
    let lifts = crate::world::operator();
    let both = async {
        let ((), lifted) = tokio::join!(worker, operator::undrain(&w.ops, &lifts, Some("LOCAL")));
        lifted.unwrap()
    };
    assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(20), both).await, Ok(1), "the worker sleeps on");
    assert_eq!(told(w, "drain").await, ["server: held", "server: released", "queue LOCAL: held", "queue LOCAL: released"]);
}

/// An operator's hold stands until somebody lifts it, which also lifts the brake.
async fn an_operator_holds_and_releases_a_queue(w: &World) {
    limits(w, 4, 100).await;
    many_jobs(w, "user.alice.t", 2).await;
    operator::hold(&w.ops, &crate::world::operator(), "LOCAL", "its air is hot").await.unwrap();
    operator::hold(&w.ops, &crate::world::operator(), "LOCAL", "its air is too hot").await.unwrap();
    assert!(w.job().await.is_none());
    w.pass(100_000);
    w.settle().await;
    assert!(w.job().await.is_none(), "no canary goes there");
    assert_eq!(operator::release(&w.ops, &crate::world::operator(), "LOCAL").await.unwrap(), 1);
    for _ in 0..4 {
        let job = w.job().await.unwrap();
        fail(w, &job, STAGE_IN).await;
    }
    assert!(w.job().await.is_none());
    assert_eq!(operator::release(&w.ops, &crate::world::operator(), "LOCAL").await.unwrap(), 1);
    w.settle().await;
    assert!(w.job().await.is_some(), "what failed before counts no more");
    assert!(operator::release(&w.ops, &alice(), "LOCAL").await.is_err());
}

/// Tasks whose only queue was held or drained do not wait for the next look when it is free again.
async fn what_waited_for_a_held_queue_goes_on_at_once(w: &World) {
    for drained in [false, true] {
        if drained {
            operator::drain(&w.ops, &crate::world::operator(), Some("LOCAL"), "new disks").await.unwrap();
        } else {
            operator::hold(&w.ops, &crate::world::operator(), "LOCAL", "new disks").await.unwrap();
        }
        let id = w.submit(prun(&format!("user.alice.{drained}"), 1)).await;
        w.settle().await;
        let t = w.task(id).await;
        assert_eq!(t.state, TaskState::Pending);
        w.settle().await;
        assert_eq!(w.task(id).await.rev, t.rev, "nobody looks before it is free");
        let topic = panda_engine::loops::LoopKind::Watch.topics()[0];
        let mut woken = w.ops.store.wake().subscribe(topic);
        woken.mark_unchanged();
        let freed = if drained {
            operator::undrain(&w.ops, &crate::world::operator(), Some("LOCAL")).await.unwrap()
        } else {
            operator::release(&w.ops, &crate::world::operator(), "LOCAL").await.unwrap()
        };
        assert_eq!((freed, woken.has_changed().unwrap()), (1, true), "the loop is woken");
        w.settle().await;
        assert_eq!(w.task(id).await.state, TaskState::Running);
        let events = task_list::events(&w.ops.store, id).await.unwrap();
        assert!(events.iter().any(|e| e.reason.as_deref() == Some("queue LOCAL is not held any more")), "{events:?}");
    }
}

cases!(
    what_waited_for_a_held_queue_goes_on_at_once,
    a_failing_queue_is_held_until_a_canary_ends_well,
    a_canary_is_made_where_no_job_waits,
    one_user_s_broken_code_holds_nothing,
    everybody_s_payloads_hold_a_queue,
    a_black_hole_is_held_and_the_queue_goes_on,
    a_young_queue_is_not_held_for_its_early_failures,
    a_machine_that_keeps_its_jobs_is_not_held,
    a_canary_that_was_never_handed_out_is_given_up,
    a_drain_stops_the_dispatch_only,
    an_operator_holds_and_releases_a_queue,
);

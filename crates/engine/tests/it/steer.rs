//! Commands on tasks, carried out on jobs and files (`spec/engine.md` sections 4.3 and 5.7): in bounded batches, and the same after a crash.

use panda_core::{
    id::TaskId,
    job::state::JobState,
    task::{
        command::{CODE_REJECTED, Command, allowed},
        state::TaskState,
    },
};
use panda_engine::loops::{self, LoopKind};
use panda_ops::task::{
    command,
    steer::{self, Reassign},
};
use panda_store::query::job;
use serde_json::json;

use crate::world::{World, alice, prod, prun, with_output};

async fn states(w: &World, id: TaskId) -> Vec<JobState> {
    let jobs = job::list::of_task(&w.ops.store, id, panda_core::id::JobId(0), 1_000).await.unwrap();
    jobs.iter().map(|j| j.state).collect()
}
async fn count(w: &World, id: TaskId, state: JobState) -> usize {
    states(w, id).await.iter().filter(|s| **s == state).count()
}
async fn started(w: &World, name: &str, jobs: i64) -> TaskId {
    let id = w.submit(with_output(prun(name, jobs), "out.txt")).await;
    w.settle().await;
    assert_eq!(count(w, id, JobState::Activated).await, jobs as usize);
    id
}

/// A kill of many jobs: each once, its files and counters right, with a process that forgets everything between two steps.
async fn a_kill_goes_on_after_a_crash(w: &World) {
    let id = started(w, "user.alice.t", 500).await;
    let running = w.job().await.unwrap();
    w.report(&running, panda_core::job::report::Reported::Running, |_| {}).await;
    command::kill(&w.ops, &alice(), id).await.unwrap();
    // A step that is cut off anywhere leaves whole batches; one may still be on its way, so that counters are compared at the end.
    for _ in 0..3 {
        let step = loops::step(LoopKind::Command, &w.ops, w.ops.now());
        let _ = tokio::time::timeout(std::time::Duration::from_millis(20), step).await;
    }
    w.settle().await;
    assert_eq!((w.task(id).await.state, count(w, id, JobState::Cancelled).await), (TaskState::Aborting, 499));
    w.fail(&running, 1).await;
    w.settle().await;
    assert_eq!((w.task(id).await.state, count(w, id, JobState::Cancelled).await), (TaskState::Aborted, 500));
    assert!(w.broken().await.is_empty());
}

/// A hard finish ends what runs; a soft one lets it end, and keeps what it made.
async fn finish_hard_and_soft(w: &World) {
    for soft in [false, true] {
        let id = started(w, if soft { "user.alice.soft" } else { "user.alice.hard" }, 4).await;
        let (done, running) = (w.job().await.unwrap(), w.job().await.unwrap());
        w.finish(&done, "x").await;
        w.report(&running, panda_core::job::report::Reported::Running, |_| {}).await;
        w.settle().await;
        command::finish(&w.ops, &alice(), id, soft).await.unwrap();
        w.settle().await;
        assert_eq!((w.task(id).await.state, count(w, id, JobState::Cancelled).await), (TaskState::Finishing, 2));
        let answer = w.report(&running, panda_core::job::report::Reported::Running, |_| {}).await;
        assert_eq!(answer == "tobekilled", !soft);
        if soft {
            w.finish(&running, "x").await
        } else {
            w.fail(&running, 1).await
        }
        w.settle().await;
        assert_eq!((w.task(id).await.state, w.counters(id).await[0].3), (TaskState::Finished, if soft { 2 } else { 1 }));
        // What no job took is lost until a retry.
        command::retry(&w.ops, &alice(), id, &command::Retry::default()).await.unwrap();
        w.settle().await;
        assert_eq!(w.task(id).await.state, TaskState::Running);
        while let Some(job) = w.job().await {
            w.finish(&job, "x").await;
            w.settle().await;
        }
        assert_eq!(w.task(id).await.state, TaskState::Done);
    }
}

/// Paused: nothing is handed out; resumed: all of it is.
async fn pause_and_resume_move_the_jobs(w: &World) {
    let id = started(w, "user.alice.t", 450).await;
    command::pause(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!((w.task(id).await.state, count(w, id, JobState::Throttled).await), (TaskState::Paused, 450));
    assert!(w.job().await.is_none());
    command::resume(&w.ops, &alice(), id).await.unwrap();
    w.settle().await;
    assert_eq!((w.task(id).await.state, count(w, id, JobState::Activated).await), (TaskState::Running, 450));
}

/// Reassigned to another queue: waiting jobs are closed and made anew there without a spent attempt; `nokill` leaves them.
async fn a_reassigned_task_runs_elsewhere(w: &World) {
    w.queue("OTHER", "native").await;
    let mut params = with_output(prun("user.alice.t", 3), "out.txt");
    params["site"] = json!("LOCAL");
    let id = w.submit(params).await;
    w.settle().await;
    let unknown = Reassign { site: Some("NOWHERE".into()), ..Reassign::default() };
    assert!(steer::reassign(&w.ops, &prod(), id, &unknown).await.unwrap_err().to_string().contains("no queue NOWHERE"));
    let odd = Reassign { mode: Some("gently".into()), ..Reassign::default() };
    assert!(steer::reassign(&w.ops, &prod(), id, &odd).await.unwrap_err().to_string().contains("`soft` and `nokill`"));
    let to = Reassign { site: Some("OTHER".into()), ..Reassign::default() };
    assert_eq!(steer::reassign(&w.ops, &prod(), id, &to).await.unwrap().code, 0);
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    assert_eq!((count(w, id, JobState::Closed).await, count(w, id, JobState::Activated).await), (3, 3));
    let other = w.ops.queue("OTHER").await.unwrap().unwrap().id;
    let jobs = job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 10).await.unwrap();
    assert!(jobs.iter().all(|j| j.queue_id == Some(other)));
    let rows = w.rows(id, "pseudo").await;
    assert!(rows.iter().all(|f| f.failed == 0), "nobody's fault");
    let stay = Reassign { site: Some("LOCAL".into()), mode: Some("nokill".into()), ..Reassign::default() };
    steer::reassign(&w.ops, &prod(), id, &stay).await.unwrap();
    w.settle().await;
    assert_eq!(count(w, id, JobState::Activated).await, 3, "they stay where they are");
}

/// Every command in every state that is reached without tricks: taken or refused as the table says, with its sentence.
async fn every_command_where_it_is_allowed_and_where_not(w: &World) {
    let give = async |what: Command, id: TaskId| match what {
        Command::Kill => command::kill(&w.ops, &prod(), id).await,
        Command::Finish => command::finish(&w.ops, &prod(), id, false).await,
        Command::Retry => command::retry(&w.ops, &prod(), id, &command::Retry::default()).await,
        Command::Incexec => command::reload_input(&w.ops, &prod(), id, false).await,
        Command::Reassign => steer::reassign(&w.ops, &prod(), id, &Reassign::default()).await,
        Command::Pause => command::pause(&w.ops, &prod(), id).await,
        Command::Resume => command::resume(&w.ops, &prod(), id).await,
        Command::Avalanche => command::avalanche(&w.ops, &prod(), id).await,
        Command::Release => command::release(&w.ops, &prod(), id).await,
    };
    let mut n = 0;
    for what in Command::ALL {
        for end in ["registered", "running", "paused", "aborting", "aborted", "done", "failed", "finished"] {
            n += 1;
            let mut params = prun(&format!("user.alice.t{n}"), 2);
            params["maxAttempt"] = json!(1);
            let id = w.submit(params).await;
            if end != "registered" {
                w.settle().await;
            }
            match end {
                "paused" => drop(command::pause(&w.ops, &alice(), id).await.unwrap()),
                "aborting" | "aborted" => drop(command::kill(&w.ops, &alice(), id).await.unwrap()),
                "done" | "failed" | "finished" => {
                    for m in 0..2 {
                        let job = w.job().await.unwrap();
                        if end == "done" || (end == "finished" && m == 0) { w.finish(&job, "x").await } else { w.fail(&job, 3).await }
                    }
                }
                _ => {}
            }
            if !matches!(end, "registered" | "aborting") {
                w.settle().await;
            }
            let before = w.task(id).await;
            assert_eq!(before.state.as_str(), end);
            let expected = allowed(*what, before.state, true);
            let answer = give(*what, id).await.unwrap();
            let after = w.task(id).await;
            match expected {
                Ok(doing) => {
                    assert!(answer.taken(), "{what} on {end}: {answer:?}");
                    if let Some(enters) = doing.enters {
                        assert_eq!(after.state, enters, "{what} on {end}");
                    }
                }
                Err(rejected) => {
                    assert_eq!((answer.code, answer.message), (CODE_REJECTED, rejected.to_string()));
                    assert_eq!((after.state, after.rev), (before.state, before.rev), "a refused command changes nothing");
                }
            }
            // Whatever it was, it leads somewhere; nothing is left of it for the next round.
            w.settle().await;
            command::kill(&w.ops, &prod(), id).await.unwrap();
            w.settle().await;
            assert!(w.task(id).await.state.is_final(), "{what} on {end}: {}", w.task(id).await.state);
        }
    }
}

cases!(
    a_kill_goes_on_after_a_crash,
    finish_hard_and_soft,
    pause_and_resume_move_the_jobs,
    a_reassigned_task_runs_elsewhere,
    every_command_where_it_is_allowed_and_where_not,
);

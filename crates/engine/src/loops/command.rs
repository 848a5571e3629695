//! Carries out the commands that people gave on tasks (`spec/engine.md` section 5.7). A command stays until it is done, so that a crash in
//! the middle only means that it is looked at again.

use panda_core::{
    file::{FileRole, account::is_lost},
    id::TaskId,
    job::{
        kill::{Killer, reason},
        state::JobState,
    },
    machine::Actor,
    policy::retry,
    task::{command::Command, state::TaskState},
    time::Micros,
};
use panda_ops::Ops;
use panda_store::{
    Batch, Topic,
    query::{
        job::{self, JobRow},
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            transition::TaskCommand,
        },
    },
};

use super::TASKS_A_STEP;
use crate::{EngineError, Report, finish::kill};

/// Jobs of one batch.
const JOBS_A_BATCH: i64 = 200;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let commands = task::transition::commands(&ops.store, after, TASKS_A_STEP).await?;
        let Some(last) = commands.last() else { return Ok(report) };
        after = last.task_id;
        for command in &commands {
            match carry_out(ops, command, now).await {
                Ok(true) => report.done += 1,
                Ok(false) => {}
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => return Err(e),
            }
        }
    }
}

async fn carry_out(ops: &Ops, command: &TaskCommand, now: Micros) -> Result<bool, EngineError> {
    let mut batch = Batch::new();
    let Some(t) = task::list::get(&ops.store, command.task_id).await? else {
        return done(ops, batch, command).await;
    };
    match Command::parse(&command.command) {
        Ok(Command::Kill) => end_jobs(ops, command, &t, TaskState::Aborting, TaskState::Toabort, now).await,
        Ok(Command::Finish) => end_jobs(ops, command, &t, TaskState::Finishing, TaskState::Passed, now).await,
        Ok(Command::Retry) => retry(ops, command, &t, now).await,
        Ok(Command::Incexec) => {
            if t.state == TaskState::Toincexec {
                let after = TaskRow { state: TaskState::Rerefine, command: None, attempt: t.attempt + 1, ended_us: None, ..t.clone() };
                ops.move_task(&mut batch, &t, &after, Actor::Engine, now.0, None).await?;
            }
            done(ops, batch, command).await
        }
        Ok(Command::Pause) => pause(ops, command, &t, JobState::Activated, JobState::Throttled, now).await,
        Ok(Command::Resume) => pause(ops, command, &t, JobState::Throttled, JobState::Activated, now).await,
        Ok(Command::Release) => {
            if t.state == TaskState::Pending {
                super::watch::let_go(ops, &t, now).await?;
            }
            done(ops, batch, command).await
        }
        Ok(Command::Avalanche | Command::Reassign) | Err(_) => {
            // Nothing waits for these yet: tasks run without scouts, and the next brokerage decides anew for jobs not yet made.
            done(ops, batch, command).await
        }
    }
}

async fn done(ops: &Ops, mut batch: Batch, command: &TaskCommand) -> Result<bool, EngineError> {
    task::transition::command_done(&mut batch, command);
    ops.store.apply(batch).await?;
    Ok(true)
}

/// kill and finish: ends the jobs, then moves the task on when none is left.
async fn end_jobs(
    ops: &Ops,
    command: &TaskCommand,
    t: &TaskRow,
    doing: TaskState,
    then: TaskState,
    now: Micros,
) -> Result<bool, EngineError> {
    if t.state != doing {
        return done(ops, Batch::new(), command).await;
    }
    let by = ops.person_by_id(command.person_id).await?;
    let soft = command.doc.as_deref().is_some_and(|d| d.contains("\"soft\":true"));
    let code = if doing == TaskState::Aborting { reason::TASK_KILLED } else { reason::TASK_FINISHED };
    let text = format!("task {} by {}", if doing == TaskState::Aborting { "killed" } else { "finished" }, by.name);
    // The engine acts with the right that the command was accepted with.
    let killer = Killer { name: &by.name, owner: true, production: true, group_roles: &[], code: Some(code), text: Some(&text) };
    if kill::of_task(ops, t.id, &killer, soft).await? > 0 {
        return Ok(false);
    }
    let mut batch = Batch::new();
    let after = TaskRow { state: then, command: None, ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&text)).await?;
    batch.wake(Topic::Ended);
    done(ops, batch, command).await
}

/// retry: failed files become ready again with further attempts.
async fn retry(ops: &Ops, command: &TaskCommand, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let in_place = t.state != TaskState::Toretry;
    if in_place && !t.state.is_generating() && t.state != TaskState::Pending {
        return done(ops, Batch::new(), command).await;
    }
    let mut batch = Batch::new();
    let revived = revive(ops, &mut batch, t).await?;
    if in_place {
        task::transition::guard(&mut batch, t, now.0);
    } else {
        let mut after = TaskRow { attempt: t.attempt + 1, command: None, reason: None, ..t.clone() };
        after.state = if revived > 0 { TaskState::Ready } else { t.prev_state.unwrap_or(TaskState::Finished) };
        if revived > 0 {
            after.ended_us = None;
        }
        after.prev_state = None;
        let why = if revived > 0 { format!("{revived} files are tried again") } else { "there is nothing to try again".into() };
        ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&why)).await?;
    }
    batch.wake(Topic::Files);
    done(ops, batch, command).await
}

/// Makes the failed and cancelled input files of a task ready again; the answer is their number.
pub(crate) async fn revive(ops: &Ops, batch: &mut Batch, t: &TaskRow) -> Result<i64, EngineError> {
    let mut revived = 0;
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    for d in datasets.iter().filter(|d| d.role.is_input()) {
        revived += revive_dataset(ops, batch, d).await?;
    }
    Ok(revived)
}

async fn revive_dataset(ops: &Ops, batch: &mut Batch, d: &TaskDataset) -> Result<i64, EngineError> {
    let lost = task::file::totals(&ops.store, d.id).await?.into_iter().filter(|(state, ..)| is_lost(*state));
    let (all, events) = lost.fold((0, 0), |sum, (_, files, events)| (sum.0 + files, sum.1 + events));
    if all > 0 {
        task::file::revive(batch, d.id, retry::task::ADDS, u64::try_from(all).unwrap_or(0));
        // All of them count as used and as failed: the cancelled ones were counted when their task was finished early.
        task::dataset::count(batch, d.id, Delta { used: -all, failed: -all, events_used: -events, ..Delta::default() });
    }
    Ok(if d.is_master || d.role == FileRole::Input { all } else { 0 })
}

/// pause and resume: what waits for a pilot is taken out of the dispatch, or put back.
async fn pause(ops: &Ops, command: &TaskCommand, t: &TaskRow, from: JobState, to: JobState, now: Micros) -> Result<bool, EngineError> {
    let wanted = (to == JobState::Throttled) == (t.state == TaskState::Paused);
    if !wanted {
        return done(ops, Batch::new(), command).await;
    }
    loop {
        let jobs = job::list::of_task_in(&ops.store, t.id, &[from], JOBS_A_BATCH).await?;
        if jobs.is_empty() {
            let mut batch = Batch::new();
            batch.wake(Topic::Files);
            return done(ops, batch, command).await;
        }
        let mut batch = Batch::new();
        for j in &jobs {
            let after = JobRow { state: to, ..j.clone() };
            job::transition::move_to(&mut batch, j, &after, Actor::Engine, now.0, Some(&format!("task: {}", command.command)))?;
        }
        ops.store.apply(batch).await?;
    }
}

//! Carries out the commands that people gave on tasks (`spec/engine.md` section 5.7). A command stays until it is done, so that a crash in
//! the middle only means that it is looked at again.

use panda_core::{
    id::TaskId,
    job::{
        kill::{Killer, reason},
        state::JobState,
    },
    machine::Actor,
    task::{
        command::{Command, Target, after_reassign},
        state::TaskState,
    },
    time::Micros,
};
use panda_ops::{Ops, task::plan::Adjust};
use panda_store::{
    Batch, Topic,
    query::{
        job::{self, JobRow},
        task::{self, TaskRow, transition::TaskCommand},
    },
};

use serde_json::Value;

use super::TASKS_A_STEP;
use crate::{
    EngineError, Report,
    finish::kill::{self, Which},
    retry, scout,
};

/// Jobs of one batch.
const JOBS_A_BATCH: i64 = 200;
/// Batches of jobs that one step moves for one task.
const BATCHES_A_STEP: usize = 25;

/// How far a command came.
enum Step {
    /// It is carried out.
    Done,
    /// It waits for jobs to end.
    Waits,
    /// The bound of a step was met.
    Goes,
}

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
                Ok(Step::Done) => report.done += 1,
                Ok(Step::Waits) => {}
                Ok(Step::Goes) => {
                    report.done += 1;
                    report.more = true;
                }
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %command.task_id, "{}: {e}", command.command),
            }
        }
    }
}

async fn carry_out(ops: &Ops, command: &TaskCommand, now: Micros) -> Result<Step, EngineError> {
    let mut batch = Batch::new();
    let Some(t) = task::list::get(&ops.store, command.task_id).await? else {
        return done(ops, batch, command).await;
    };
    match Command::parse(&command.command) {
        Ok(Command::Kill) => end_jobs(ops, command, &t, TaskState::Aborting, TaskState::Toabort, now).await,
        Ok(Command::Finish) => end_jobs(ops, command, &t, TaskState::Finishing, TaskState::Passed, now).await,
        Ok(Command::Retry) => {
            retry::retry(ops, &mut batch, &t, command, &arguments(command), now).await?;
            done(ops, batch, command).await
        }
        Ok(Command::Incexec) => {
            retry::read_anew(ops, &mut batch, &t, command, &arguments(command), now).await?;
            done(ops, batch, command).await
        }
        Ok(Command::Reassign) => reassign(ops, command, &t, now).await,
        Ok(Command::Pause) => pause(ops, command, &t, JobState::Activated, JobState::Throttled, now).await,
        Ok(Command::Resume) => pause(ops, command, &t, JobState::Throttled, JobState::Activated, now).await,
        Ok(Command::Release | Command::Avalanche) => {
            // The state was left, and the plan changed, when the command was taken.
            scout::again(&mut batch, &task::dataset::of_task(&ops.store, t.id).await?);
            batch.wake(Topic::Files).wake(Topic::Inputs);
            done(ops, batch, command).await
        }
        Err(unknown) => {
            tracing::warn!(task = %t.id, "{unknown}; a newer program left it");
            Ok(Step::Waits)
        }
    }
}

async fn done(ops: &Ops, mut batch: Batch, command: &TaskCommand) -> Result<Step, EngineError> {
    task::transition::command_done(&mut batch, command);
    ops.store.apply(batch).await?;
    Ok(Step::Done)
}

/// The arguments of a command.
fn arguments(command: &TaskCommand) -> Value {
    command.doc.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default()
}

/// Ends the jobs that a command ends; `None` when none is left that it waits for.
async fn end(ops: &Ops, command: &TaskCommand, code: i64, text: &str, which: Which, waits_for: Which) -> Result<Option<Step>, EngineError> {
    let by = ops.person_by_id(command.person_id).await?;
    // The engine acts with the right that the command was accepted with.
    let killer = Killer { name: &by.name, owner: true, production: true, group_roles: &[], code: Some(code), text: Some(text) };
    let progress = kill::of_task(ops, command.task_id, &killer, which).await?;
    if progress.more {
        return Ok(Some(Step::Goes));
    }
    Ok(kill::any_left(ops, command.task_id, waits_for).await?.then_some(Step::Waits))
}

/// What people read: who did it, or which rule.
async fn who(ops: &Ops, command: &TaskCommand, what: &str) -> Result<String, EngineError> {
    match arguments(command)["rule"].as_str() {
        Some(rule) => Ok(format!("task {what}: {rule}")),
        None => Ok(format!("task {what} by {}", ops.person_by_id(command.person_id).await?.name)),
    }
}

/// kill and finish: ends the jobs, then moves the task on when none is left.
async fn end_jobs(
    ops: &Ops,
    command: &TaskCommand,
    t: &TaskRow,
    doing: TaskState,
    then: TaskState,
    now: Micros,
) -> Result<Step, EngineError> {
    if t.state != doing {
        return done(ops, Batch::new(), command).await;
    }
    let which = if arguments(command)["soft"] == true { Which::Queued } else { Which::All };
    let (code, what) = if doing == TaskState::Aborting { (reason::TASK_KILLED, "killed") } else { (reason::TASK_FINISHED, "finished") };
    let text = who(ops, command, what).await?;
    if let Some(step) = end(ops, command, code, &text, which, Which::All).await? {
        return Ok(step);
    }
    let mut batch = Batch::new();
    let after = TaskRow { state: then, command: None, ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&text)).await?;
    batch.wake(Topic::Ended);
    done(ops, batch, command).await
}

/// reassign: closes the jobs, then sends the task where it is to go.
async fn reassign(ops: &Ops, command: &TaskCommand, t: &TaskRow, now: Micros) -> Result<Step, EngineError> {
    if t.state == TaskState::Toreassign {
        let mut batch = Batch::new();
        let after = TaskRow { state: TaskState::Reassigning, ..t.clone() };
        ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, None).await?;
        ops.store.apply(batch).await?;
        return Ok(Step::Goes);
    }
    if t.state != TaskState::Reassigning {
        return done(ops, Batch::new(), command).await;
    }
    let args = arguments(command);
    let which = if args["nokill"] == true {
        Which::None
    } else if args["soft"] == true {
        Which::Queued
    } else {
        Which::All
    };
    let text = who(ops, command, "reassigned").await?;
    if let Some(step) = end(ops, command, reason::TASK_REASSIGNED, &text, which, which).await? {
        return Ok(step);
    }
    let given = |key: &str| args[key].as_str().map(str::to_owned);
    let target = Target { site: given("site"), cloud: given("cloud"), nucleus: given("nucleus") };
    let old = args["back_to_old_status"] == true;
    let mut batch = Batch::new();
    let after = TaskRow {
        state: after_reassign(t.prev_state, &target, t.nucleus.is_some(), old),
        prev_state: None,
        command: None,
        nucleus: if old { t.nucleus.clone() } else { target.nucleus.clone() },
        reason: None,
        ..t.clone()
    };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&text)).await?;
    let stored = task::list::doc(&ops.store, t.id).await?.and_then(|(_, adjust)| adjust);
    let known = Adjust::parse(stored.as_deref()).map_err(EngineError::Internal)?;
    let sites = target.site.map_or_else(|| known.sites.clone(), |site| vec![site]);
    let new = Adjust { sites, cloud: target.cloud.or_else(|| known.cloud.clone()), ..known.clone() };
    if new != known {
        task::transition::set_adjust(&mut batch, t.id, &new.to_text());
    }
    task::dataset::look_at_inputs(&mut batch, t.id);
    batch.wake(Topic::Files);
    done(ops, batch, command).await
}

/// pause and resume: what waits for a pilot is taken out of the dispatch, or put back.
async fn pause(ops: &Ops, command: &TaskCommand, t: &TaskRow, from: JobState, to: JobState, now: Micros) -> Result<Step, EngineError> {
    let wanted = (to == JobState::Throttled) == (t.state == TaskState::Paused);
    if !wanted {
        return done(ops, Batch::new(), command).await;
    }
    if move_jobs(ops, t.id, from, to, &format!("task: {}", command.command), now).await? {
        return Ok(Step::Goes);
    }
    let mut batch = Batch::new();
    batch.wake(Topic::Files);
    done(ops, batch, command).await
}

/// Moves the jobs of a task from one state into another; true when the bound of a step was met before all were.
pub(super) async fn move_jobs(ops: &Ops, task: TaskId, from: JobState, to: JobState, why: &str, now: Micros) -> Result<bool, EngineError> {
    for _ in 0..BATCHES_A_STEP {
        let jobs = job::list::of_task_in(&ops.store, task, &[from], JOBS_A_BATCH).await?;
        if jobs.is_empty() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        for j in &jobs {
            let after = JobRow { state: to, ..j.clone() };
            job::transition::move_to(&mut batch, j, &after, Actor::Engine, now.0, Some(why))?;
        }
        ops.store.apply(batch).await?;
    }
    Ok(true)
}

//! Closes tasks: prepared when every input has ended, then done, finished, failed, aborted or broken (`spec/engine.md` section 5.6).

use std::collections::HashMap;

use panda_core::{
    file::FileState,
    id::TaskId,
    job::{
        kill::{Killer, reason},
        record::JobKind,
        state::JobState,
    },
    machine::Actor,
    task::{
        command::Command,
        finish::{Parent, decide, end_of_dataset},
        state::TaskState,
        transition::KILLABLE,
    },
    time::Micros,
};
use panda_ops::{
    Ops, effect,
    job::kill::{Options, Outcome, some},
    task::steer,
};
use panda_store::{
    Batch, Topic,
    query::{
        job,
        task::{
            self, TaskRow,
            dataset::{Delta, Todo},
        },
    },
};

use serde_json::Map;

use super::TASKS_A_STEP;
use crate::{
    EngineError, Report,
    feed::PARENT_STAGE,
    finish::{catalogue, view},
    plan,
    retry::reopen,
    scout,
};

/// States that wait for their end.
const ENDING: &[TaskState] = &[TaskState::Prepared, TaskState::Passed, TaskState::Toabort, TaskState::Tobroken];

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    // What they are measured for may be at its end by that.
    let mut report = scout::step(ops, now).await?;
    let mut after = TaskId(0);
    loop {
        let ids = task::dataset::with_work(&ops.store, Todo::Close, after, TASKS_A_STEP).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let open = [TaskState::Running, TaskState::Ready, TaskState::Throttled];
        for t in task::list::many(&ops.store, &ids).await?.iter().filter(|t| open.contains(&t.state)) {
            count(&mut report, prepare(ops, t, now).await)?;
        }
    }
    let mut after = TaskId(0);
    loop {
        let tasks = task::list::in_states(&ops.store, ENDING, after, TASKS_A_STEP).await?;
        let Some(last) = tasks.last() else { break };
        after = last.id;
        for t in &tasks {
            count(&mut report, end(ops, t, now).await)?;
        }
    }
    Ok(report)
}

fn count(report: &mut Report, result: Result<bool, EngineError>) -> Result<(), EngineError> {
    match result {
        Ok(moved) => report.done += usize::from(moved),
        Err(e) if e.is_conflict() => report.more = true,
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Every input has ended; when no job is left either, the task is prepared.
async fn prepare(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let masters: Vec<_> = task::dataset::of_task(&ops.store, t.id).await?.into_iter().filter(|d| d.is_master).collect();
    if masters.is_empty()
        || masters.iter().any(|d| d.is_open || d.state == "feeding" || d.n_finished + d.n_failed + d.n_missing < d.n_files)
    {
        return Ok(false);
    }
    if !job::list::of_task_in(&ops.store, t.id, JobState::LIVE, 1).await?.is_empty() {
        return jumbo(ops, t).await;
    }
    let mut batch = Batch::new();
    let after = TaskRow { state: TaskState::Prepared, ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Finisher, now.0, None).await?;
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    Ok(true)
}

/// Ends jobs that take ranges of all files of a task which has none left (`spec/engine.md` section 3.5: code 55); whether one ended.
async fn jumbo(ops: &Ops, t: &TaskRow) -> Result<bool, EngineError> {
    if plan::of(ops, t).await?.plan.events.as_ref().is_none_or(|e| e.jumbo == 0) {
        return Ok(false);
    }
    let jobs = job::list::live_of_kind(&ops.store, t.id, JobKind::Jumbo).await?;
    let killer = Killer {
        name: "the engine",
        owner: true,
        production: true,
        group_roles: &[],
        code: Some(reason::TASK_DONE),
        text: Some("its task has no events left"),
    };
    let outcomes = Box::pin(some(ops, &jobs, &vec![killer; jobs.len()], &HashMap::new(), Actor::Engine, Options::default())).await?;
    Ok(outcomes.contains(&Outcome::Ended))
}

/// Decides and writes the end of a task.
async fn end(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let refined = plan::of(ops, t).await?;
    let parent = view::parent(ops, t, !refined.plan.feed.no_wait_parent).await?;
    let view = view::of(t, &datasets, &refined.plan, parent);
    let Some(decision) = decide(&view) else { return Ok(false) };
    let mut batch = Batch::new();
    // A task that was finished or killed early leaves files that no job will take: they count as failed, so that a retry finds them.
    if matches!(t.state, TaskState::Passed | TaskState::Toabort) {
        for d in datasets.iter().filter(|d| d.role.is_input()) {
            let totals = task::file::totals(&ops.store, d.id).await?;
            let waiting = totals.iter().find(|(s, ..)| *s == FileState::Pending && d.is_dag()).map_or(0, |t| t.1);
            if waiting > 0 {
                task::dag::stop(&mut batch, d.id, u64::try_from(waiting).unwrap_or(0));
                task::dataset::count(&mut batch, d.id, Delta { used: waiting, failed: waiting, on_hold: -waiting, ..Delta::default() });
            }
            if let Some((_, ready, events_used)) = totals.into_iter().find(|(s, ..)| *s == FileState::Ready) {
                task::file::stop(&mut batch, d.id, u64::try_from(ready).unwrap_or(0));
                task::dataset::count(&mut batch, d.id, Delta { used: ready, failed: ready, events_used, ..Delta::default() });
            }
        }
    }
    let why = if decision.to == TaskState::Done { None } else { Some(decision.why.to_owned()) };
    let after = TaskRow {
        state: decision.to,
        prev_state: None,
        ended_us: Some(now.0),
        reason: t.reason.clone().or_else(|| why.clone()),
        ..t.clone()
    };
    ops.move_task(&mut batch, t, &after, Actor::Finisher, now.0, why.as_deref()).await?;
    for d in &datasets {
        if d.is_dag() {
            task::dag::forget(&mut batch, d.id);
        }
        task::dataset::ended(&mut batch, d.id, end_of_dataset(d.role.is_input(), d.n_files, d.n_finished));
        // Outputs that never came are none (5.6); what is to be merged is counted with what failed, so that a retry merges again.
        if d.role.is_output() && !d.role.is_pre_merge() && d.n_finished < d.n_files && decision.to != TaskState::Exhausted {
            task::dataset::count(&mut batch, d.id, Delta { files: d.n_finished - d.n_files, ..Delta::default() });
        }
    }
    if decision.to.is_final() {
        reopen::outputs(&mut batch, t, &datasets, "closed");
        let filled = datasets.iter().filter(|d| d.role.is_output() && !d.role.is_pre_merge() && d.n_finished > 0);
        let names: Vec<_> =
            filled.map(|d| (d.id, format!("{}:{}", catalogue::scope_of(&d.name), catalogue::plain_name(&d.name)))).collect();
        effect::outputs_closed(ops, &mut batch, t, &names, now.0).await?;
    }
    // Who waits for it begins, or ends with it.
    task::dataset::look_at_children(&mut batch, t.id);
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    if after.state.is_final() {
        children(ops, &after).await?;
    }
    plan::forget(ops, t.id);
    Ok(true)
}

/// Ends the children that wait for a task that ended badly (5.6). A crash before this is mended by the watch loop.
async fn children(ops: &Ops, parent: &TaskRow) -> Result<(), EngineError> {
    if Parent::of(parent.state) != Parent::Bad {
        return Ok(());
    }
    let reason = format!("its parent task {} is {}", parent.id, parent.state);
    for child in task::list::children(&ops.store, parent.id).await?.iter().filter(|c| KILLABLE.contains(&c.state)) {
        let refined = plan::of(ops, child).await?;
        if !refined.plan.feed.no_wait_parent && !refined.adjust.is_released(PARENT_STAGE) {
            steer::by_rule(ops, child, Command::Kill, Map::new(), Actor::Watcher, &reason).await?;
        }
    }
    Ok(())
}

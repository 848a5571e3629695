//! Closes tasks: prepared when every input has ended, then done, finished, failed, aborted or broken (`spec/engine.md` section 5.6).

use panda_core::{
    file::FileState,
    id::TaskId,
    job::state::JobState,
    machine::Actor,
    task::{
        finish::{FinishView, Parent, decide},
        state::TaskState,
    },
    time::Micros,
};
use panda_ops::Ops;
use panda_store::{
    Batch, Topic,
    query::{
        archive, job,
        task::{
            self, TaskRow,
            dataset::{Delta, Todo},
        },
    },
};

use super::TASKS_A_STEP;
use crate::{EngineError, Report, plan};

/// States that wait for their end.
const ENDING: &[TaskState] = &[TaskState::Prepared, TaskState::Passed, TaskState::Toabort, TaskState::Tobroken];

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let ids = task::dataset::with_work(&ops.store, Todo::Close, after, TASKS_A_STEP).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let open = [TaskState::Running, TaskState::Scouting, TaskState::Ready];
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
        return Ok(false);
    }
    let mut batch = Batch::new();
    let after = TaskRow { state: TaskState::Prepared, ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Finisher, now.0, None).await?;
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    Ok(true)
}

async fn end(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let masters = || datasets.iter().filter(|d| d.is_master);
    let parent = match t.parent_id {
        Some(id) => archive::task::find(&ops.store, id).await?.map_or(Parent::None, |p| Parent::of(p.state)),
        None => Parent::None,
    };
    let refined = plan::of(ops, t).await?;
    let params = &refined.params;
    let view = FinishView {
        state: t.state,
        files: masters().map(|d| d.n_files).sum(),
        files_finished: masters().map(|d| d.n_finished).sum(),
        events: 0,
        events_finished: 0,
        parent: if params.no_wait_parent == Some(true) { Parent::None } else { parent },
        mutable_input: false,
        allow_empty: params.allow_empty_input == Some(true),
        #[expect(clippy::cast_possible_truncation, reason = "per mille of a percentage")]
        goal: params.goal.map(|g| (g * 10.0) as i64).filter(|g| *g <= 1_000),
        use_exhausted: params.use_exhausted == Some(true),
        fail_goal_unreached: params.fail_goal_unreached == Some(true),
        hpo_with_results: false,
    };
    let Some(decision) = decide(&view) else { return Ok(false) };
    let mut batch = Batch::new();
    // A task that was finished or killed early leaves files that no job will take: they count as failed, so that a retry finds them.
    if matches!(t.state, TaskState::Passed | TaskState::Toabort) {
        for d in datasets.iter().filter(|d| d.role.is_input()) {
            let totals = task::file::totals(&ops.store, d.id).await?;
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
        task::dataset::ended(&mut batch, d.id);
    }
    task::dataset::look_at_children(&mut batch, t.id);
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    plan::forget(ops, t.id);
    Ok(true)
}

//! Looks for what nobody reports: jobs and tasks that stay too long where they are, jobs whose library ended unseen. The limits are tables of
//! `core` (`job::timers`, `task::timers`).

use panda_core::{
    id::{JobId, TaskId},
    job::state::JobState,
    task::state::TaskState,
    time::Micros,
};
use panda_ops::Ops;
use panda_store::query::{job, task};

use super::command;
use crate::{
    EngineError, Report,
    finish::release,
    watch::{jobs, rebroker, tasks},
};

/// Rows of one page.
const PAGE: i64 = 200;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = jobs::step(ops, now).await?;
    report.add(rebroker::step(ops, now).await?);
    report.done += libraries(ops, now).await?;
    // Jobs without a task that no queue could take when they came.
    report.done += panda_ops::job::place::waiting(ops).await?;
    report.add(tasks::step(ops, now).await?);
    report.add(paused(ops, now).await?);
    Ok(report)
}

/// Jobs that wait for a library whose build ended without anybody letting them go (a crash between two batches).
async fn libraries(ops: &Ops, now: Micros) -> Result<usize, EngineError> {
    let mut after = JobId(0);
    let mut done = 0;
    loop {
        let builds = job::list::awaited(&ops.store, after, PAGE).await?;
        let Some(last) = builds.last() else { return Ok(done) };
        after = *last;
        for build in builds {
            done += release::waiting(ops, build, now).await?;
        }
    }
}

/// Jobs of a paused task that came to wait for a pilot after it was paused: their library was built meanwhile.
async fn paused(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let (mut after, mut report) = (TaskId(0), Report::default());
    loop {
        let tasks = task::list::in_states(&ops.store, &[TaskState::Paused], after, PAGE).await?;
        let Some(last) = tasks.last() else { return Ok(report) };
        after = last.id;
        for t in &tasks {
            match command::move_jobs(ops, t.id, JobState::Activated, JobState::Throttled, "its task is paused", now).await {
                Ok(more) => report.more |= more,
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => return Err(e),
            }
        }
    }
}

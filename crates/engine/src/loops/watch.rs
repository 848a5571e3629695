//! Looks for what nobody reports: pilots that fell silent, jobs whose library ended unseen, tasks on hold.

use panda_core::{
    id::{JobId, TaskId},
    job::{error::LOST_HEARTBEAT, state::JobState},
    machine::Actor,
    setting::task_timer::PENDING_RETRY_S,
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    job::{account::End, ending::Ending},
};
use panda_store::{
    Batch,
    query::{
        job::{self, JobRow},
        task::{self, TaskRow},
    },
};

use crate::{EngineError, EngineOptions, Report, finish::release};

/// Rows of one page.
const PAGE: i64 = 200;
/// How long a pilot may take to say that it has the job it was sent (`spec/engine.md` section 13: 30 min): the answer may have been lost.
const SENT_US: i64 = 30 * 60 * 1_000_000;

/// One step.
pub(super) async fn step(ops: &Ops, options: &EngineOptions, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let before = now.0 - i64::try_from(options.lost_heartbeat.as_micros()).unwrap_or(i64::MAX);
    for state in JobState::WITH_PILOT {
        let before = if *state == JobState::Sent { before.max(now.0 - SENT_US) } else { before };
        report.done += lost(ops, *state, before, now).await?;
    }
    report.done += libraries(ops, now).await?;
    // Jobs without a task that no queue could take when they came.
    report.done += panda_ops::job::place::waiting(ops).await?;
    report.done += holds(ops, now).await?;
    Ok(report)
}

async fn lost(ops: &Ops, state: JobState, before: i64, now: Micros) -> Result<usize, EngineError> {
    let mut after = JobId(0);
    let mut done = 0;
    loop {
        let ids = job::list::silent(&ops.store, state, after, before, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(done) };
        after = *last;
        for j in job::list::many(&ops.store, &ids).await? {
            if j.state == state && lose(ops, &j, now).await? {
                done += 1;
            }
        }
    }
}

async fn lose(ops: &Ops, j: &JobRow, now: Micros) -> Result<bool, EngineError> {
    let files = job::file::of_jobs(&ops.store, &[j.id]).await?;
    let inputs = task::file::of_jobs(&ops.store, &[j.id]).await?;
    let diag = format!("lost heartbeat: nothing was heard of this job in {} since {}", j.state, panda_ops::clock::text(j.modified_us));
    let after = JobRow {
        state: JobState::Failed,
        sub_state: Some(panda_ops::pilot::update::LOST_HEARTBEAT.into()),
        dispatcher_error_code: Some(LOST_HEARTBEAT),
        diag: Some(diag),
        ended_us: Some(now.0),
        ..j.clone()
    };
    let mut ending = Ending::new(ops, now.0).await?;
    ending.end(End::new(j, after, &inputs, &files, Actor::Watcher)).await?;
    match ops.store.apply(ending.finish()).await {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
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

/// Tasks on hold go back to where they were, so that their loop looks again.
async fn holds(ops: &Ops, now: Micros) -> Result<usize, EngineError> {
    let settings = ops.settings().await?;
    let mut after = TaskId(0);
    let mut done = 0;
    loop {
        let tasks = task::list::in_states(&ops.store, &[TaskState::Pending], after, PAGE).await?;
        let Some(last) = tasks.last() else { return Ok(done) };
        after = last.id;
        let due = |t: &&TaskRow| t.state_us < now.0 - settings.int(&PENDING_RETRY_S, &t.vo, &t.label).saturating_mul(1_000_000);
        for t in tasks.iter().filter(due) {
            done += usize::from(let_go(ops, t, now).await?);
        }
    }
}

/// Puts a task on hold back to where it was.
pub(super) async fn let_go(ops: &Ops, t: &TaskRow, now: Micros) -> Result<bool, EngineError> {
    let Some(back) = t.prev_state else { return Ok(false) };
    let after = TaskRow { state: back, prev_state: None, ..t.clone() };
    let mut batch = Batch::new();
    ops.move_task(&mut batch, t, &after, Actor::Watcher, now.0, Some("looked at again")).await?;
    batch.wake(panda_store::Topic::Files);
    match ops.store.apply(batch).await {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

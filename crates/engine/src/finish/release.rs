//! What waits for a job's end: jobs that need its library.

use panda_core::{
    id::JobId,
    job::{error::BUILD_FAILED, state::JobState},
    machine::Actor,
    time::Micros,
};
use panda_ops::{
    Ops,
    job::{
        account::{self, End},
        ending::Ending,
    },
};
use panda_store::query::{
    job::{self, JobRow, file::JobFile},
    task::file::TaskFile,
};

use crate::EngineError;

/// Waiting jobs handled by one batch: two statements each when they are let go, more when they fail.
const JOBS_A_BATCH: i64 = 100;

/// Lets go, or fails, the jobs that wait for the library of `build`, if it has ended.
pub async fn waiting(ops: &Ops, build: JobId, now: Micros) -> Result<usize, EngineError> {
    let Some(b) = job::list::get(&ops.store, build).await? else { return Ok(0) };
    if !b.state.is_final() {
        return Ok(0);
    }
    let mut moved = 0;
    loop {
        let jobs = job::list::waiting_for(&ops.store, build, JobState::BEFORE_ACTIVATION, JOBS_A_BATCH).await?;
        if jobs.is_empty() {
            return Ok(moved);
        }
        match together(ops, &b, &jobs, now).await {
            Ok(()) => moved += jobs.len(),
            Err(e) if e.is_conflict() => {
                // Somebody was first with one, or two share their files: each for itself; the watch loop comes by again.
                for j in &jobs {
                    match together(ops, &b, std::slice::from_ref(j), now).await {
                        Ok(()) => moved += 1,
                        Err(e) if e.is_conflict() => {}
                        Err(e) => return Err(e),
                    }
                }
                return Ok(moved);
            }
            Err(e) => return Err(e),
        }
    }
}

/// Lets go, or fails, these jobs in one batch.
async fn together(ops: &Ops, build: &JobRow, jobs: &[JobRow], now: Micros) -> Result<(), EngineError> {
    let mut ending = Ending::new(ops, now.0).await?;
    if build.state == JobState::Finished {
        for j in jobs {
            let after = JobRow { state: JobState::Activated, ..j.clone() };
            job::transition::move_to(&mut ending.batch, j, &after, Actor::Finisher, now.0, Some("its library is ready"))?;
        }
    } else {
        let diag = format!("build job {} {}: its library is missing", build.id, build.state);
        fail(ops, &mut ending, jobs, &diag, now).await?;
    }
    Ok(ops.store.apply(ending.finish()).await?)
}

async fn fail(ops: &Ops, ending: &mut Ending<'_>, jobs: &[JobRow], diag: &str, now: Micros) -> Result<(), EngineError> {
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let (files, inputs) = account::files_of(ops, &ids).await?;
    for j in jobs {
        let after = JobRow {
            state: JobState::Failed,
            server_error_code: Some(BUILD_FAILED),
            diag: Some(diag.to_owned()),
            ended_us: Some(now.0),
            ..j.clone()
        };
        let outputs: &[JobFile] = files.get(&j.id).map_or(&[], Vec::as_slice);
        let takes: &[TaskFile] = inputs.get(&j.id).map_or(&[], Vec::as_slice);
        ending.end(End::new(j, after, takes, outputs, Actor::Finisher)).await?;
    }
    Ok(())
}

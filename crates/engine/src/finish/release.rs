//! What waits for a job's end: jobs that need its library, and pre-merge jobs whose outputs it merged.

use panda_core::{file::FileState, id::JobId, job::state::JobState, machine::Actor, time::Micros};
use panda_ops::{
    Ops,
    job::account::{self, Deltas, End},
};
use panda_store::{
    Batch,
    query::{
        job::{self, JobRow, file::JobFile},
        task::file::TaskFile,
    },
};

use crate::EngineError;

/// Waiting jobs handled by one batch: two statements each when they are let go, more when they fail.
const JOBS_A_BATCH: i64 = 100;
/// Supervisor error code of a job whose library could not be built. Our own number.
pub const BUILD_FAILED: i64 = 1_001;
/// Supervisor error code of a job whose outputs could not be merged. Our own number.
pub const MERGE_FAILED: i64 = 1_002;

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
        let mut batch = Batch::new();
        let mut deltas = Deltas::default();
        if b.state == JobState::Finished {
            for j in &jobs {
                let after = JobRow { state: JobState::Activated, ..j.clone() };
                job::transition::move_to(&mut batch, j, &after, Actor::Finisher, now.0, Some("its library is ready"))?;
            }
        } else {
            fail(ops, &mut batch, &mut deltas, &jobs, BUILD_FAILED, &format!("build job {build} {}: its library is missing", b.state), now)
                .await?;
        }
        deltas.flush(&mut batch);
        match ops.store.apply(batch).await {
            Ok(()) => moved += jobs.len(),
            Err(e) if e.is_conflict() => return Ok(moved), // The watch loop comes by again.
            Err(e) => return Err(e.into()),
        }
    }
}

async fn fail(
    ops: &Ops,
    batch: &mut Batch,
    deltas: &mut Deltas,
    jobs: &[JobRow],
    code: i64,
    diag: &str,
    now: Micros,
) -> Result<(), EngineError> {
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let (files, inputs) = account::files_of(ops, &ids).await?;
    for j in jobs {
        let after =
            JobRow { state: JobState::Failed, sup_error_code: Some(code), diag: Some(diag.to_owned()), ended_us: Some(now.0), ..j.clone() };
        let outputs: &[JobFile] = files.get(&j.id).map_or(&[], Vec::as_slice);
        let takes: &[TaskFile] = inputs.get(&j.id).map_or(&[], Vec::as_slice);
        let end = End {
            before: j,
            after,
            inputs: takes,
            open_outputs: outputs.iter().filter(|f| f.role.is_output()).collect(),
            actor: Actor::Finisher,
            reason: Some(diag.to_owned()),
        };
        account::end(batch, deltas, &end, now.0)?;
    }
    Ok(())
}

/// Settles the pre-merge jobs of a merge job that ended. When it ended badly its inputs are free for another merge job, until the attempts
/// are used up: then the pre-merge jobs fail.
pub async fn merged(ops: &Ops, batch: &mut Batch, deltas: &mut Deltas, merge: &JobRow, ok: bool, now: Micros) -> Result<(), EngineError> {
    let taken = job::file::used_by(&ops.store, merge.id).await?;
    if !ok && merge.attempt + 1 < merge.max_attempt {
        job::file::free(batch, merge.id);
        return Ok(());
    }
    let mut ids: Vec<JobId> = taken.iter().map(|f| f.job_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let jobs: Vec<JobRow> = job::list::many(&ops.store, &ids).await?.into_iter().filter(|j| j.state == JobState::Merging).collect();
    if !ok {
        return fail(ops, batch, deltas, &jobs, MERGE_FAILED, &format!("merge job {} {}", merge.id, merge.state), now).await;
    }
    let (_, inputs) = account::files_of(ops, &ids).await?;
    for j in &jobs {
        let takes: &[TaskFile] = inputs.get(&j.id).map_or(&[], Vec::as_slice);
        let after = JobRow { state: JobState::Finished, ..j.clone() };
        let reason = Some(format!("merged by job {}", merge.id));
        account::end(
            batch,
            deltas,
            &End { before: j, after, inputs: takes, open_outputs: Vec::new(), actor: Actor::Finisher, reason },
            now.0,
        )?;
    }
    let merged: Vec<i64> = taken.iter().filter(|f| f.state == FileState::Ready).map(|f| f.id).collect();
    for chunk in merged.chunks(panda_store::MAX_IN_LIST) {
        job::file::move_all(batch, chunk, FileState::Ready, FileState::Finished);
    }
    for f in &taken {
        if let Some(dataset) = f.dataset_id {
            deltas.of(dataset).finished += 1;
        }
    }
    Ok(())
}

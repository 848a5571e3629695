//! Accounting at the end of a job (`spec/engine.md` section 3.6): what its end does to its inputs, its outputs and the counters. Used by
//! whoever ends jobs: the finisher, the watcher, kills.

use std::collections::{BTreeMap, HashMap};

use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
    job::{record::JobKind, state::JobState},
    machine::Actor,
};
use panda_store::{
    Batch, Topic,
    query::{
        job::{self, JobRow, file::JobFile},
        task::{
            dataset::{self, Delta},
            file::{self, TaskFile},
        },
    },
};

use crate::{Ops, OpsError};

/// The files of jobs: what they make (and read, without a task), and the input rows that they are in charge of.
pub type FilesOf = (HashMap<JobId, Vec<JobFile>>, HashMap<JobId, Vec<TaskFile>>);

/// Reads the files of these jobs (at most 1,000), by job.
pub async fn files_of(ops: &Ops, jobs: &[JobId]) -> Result<FilesOf, OpsError> {
    let mut files: HashMap<JobId, Vec<JobFile>> = HashMap::new();
    for f in job::file::of_jobs(&ops.store, jobs).await? {
        files.entry(f.job_id).or_default().push(f);
    }
    let mut inputs: HashMap<JobId, Vec<TaskFile>> = HashMap::new();
    for f in file::of_jobs(&ops.store, jobs).await? {
        if let Some(id) = f.job_id {
            inputs.entry(id).or_default().push(f);
        }
    }
    Ok((files, inputs))
}

/// Sub-state of a job whose worker was killed: its inputs are tried again without spending an attempt.
pub const LOST_WORKER: &str = "lost_worker";

/// Changes of counters of one batch, a line a data set.
#[derive(Debug, Default)]
pub struct Deltas(BTreeMap<i64, Delta>);

impl Deltas {
    /// The line of a data set.
    pub fn of(&mut self, dataset: i64) -> &mut Delta {
        self.0.entry(dataset).or_default()
    }
    /// Writes one update a data set.
    pub fn flush(self, batch: &mut Batch) {
        for (id, delta) in self.0 {
            dataset::count(batch, id, delta);
        }
    }
}

/// A job that ends, or goes to `merging`.
#[derive(Debug)]
pub struct End<'a> {
    /// The job as read.
    pub before: &'a JobRow,
    /// The job as it becomes: state, sub-state, codes, diagnosis.
    pub after: JobRow,
    /// Input files that it is in charge of.
    pub inputs: &'a [TaskFile],
    /// Its outputs and logs that are not settled otherwise: they fail, or are cancelled, with it.
    pub open_outputs: Vec<&'a JobFile>,
    /// Who ends it.
    pub actor: Actor,
    /// Why, for its history.
    pub reason: Option<String>,
}

/// Adds everything that the end of a job means to a batch.
pub fn end(batch: &mut Batch, deltas: &mut Deltas, e: &End<'_>, now_us: i64) -> Result<(), OpsError> {
    job::transition::move_to(batch, e.before, &e.after, e.actor, now_us, e.reason.as_deref())?;
    let state = e.after.state;
    if state != JobState::Merging {
        // A build or merge job has no input rows of its own; a standalone one has no task.
        inputs(batch, deltas, e.inputs, state, e.after.sub_state.as_deref());
    }
    if !state.is_final() {
        return Ok(());
    }
    let becomes = if state == JobState::Failed { FileState::Failed } else { FileState::Cancelled };
    for from in [FileState::Running, FileState::Defined, FileState::Ready] {
        let open: Vec<&JobFile> = e.open_outputs.iter().copied().filter(|f| f.state == from).collect();
        let ids: Vec<i64> = open.iter().map(|f| f.id).collect();
        for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
            job::file::move_all(batch, chunk, from, becomes);
        }
        for dataset in open.iter().filter_map(|f| f.dataset_id) {
            deltas.of(dataset).failed += 1;
        }
    }
    Ok(())
}

/// Settles the input rows of an ended job.
fn inputs(batch: &mut Batch, deltas: &mut Deltas, files: &[TaskFile], state: JobState, sub_state: Option<&str>) {
    let running: Vec<&TaskFile> = files.iter().filter(|f| f.state == FileState::Running).collect();
    if state == JobState::Finished {
        let ids: Vec<i64> = running.iter().map(|f| f.id).collect();
        for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
            file::settle_all(batch, chunk, FileState::Running, FileState::Finished);
        }
        for f in running {
            let delta = deltas.of(f.dataset_id);
            delta.finished += 1;
            delta.events += f.n_events.unwrap_or(0);
        }
        return;
    }
    for f in running {
        let mut after = f.clone();
        let spends = sub_state != Some(LOST_WORKER);
        if spends {
            after.attempt += 1;
        }
        if spends && state == JobState::Failed {
            after.failed += 1;
        }
        if after.attempt < f.max_attempt {
            after.state = FileState::Ready;
            after.job_id = None;
            deltas.of(f.dataset_id).used -= 1;
            batch.wake(Topic::Files);
        } else {
            after.state = FileState::Failed;
            deltas.of(f.dataset_id).failed += 1;
        }
        file::settle(batch, FileState::Running, &after);
    }
}

/// Whether the job's outputs are pre-merge files, so that it goes to `merging` when it ended well.
#[must_use]
pub fn waits_for_merge(job: &JobRow, outputs: &[&JobFile]) -> bool {
    job.kind == JobKind::Run && outputs.iter().any(|f| f.role == FileRole::TrnOutput)
}

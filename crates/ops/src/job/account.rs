//! Writes the accounting at the end of a job: what `core`'s table says of its inputs, its outputs and the counters (`spec/engine.md` section
//! 3.6). Used by whoever ends jobs: the finisher, the watcher, kills, merges.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use panda_core::{
    file::{
        FileRole, FileState,
        account::{self, Deltas as Change, InputOutcome, InputUse, JobResult, MergeEnd, OutputUse, Said},
    },
    id::JobId,
    job::{
        error::{MERGE_FAILED, Source},
        record::JobKind,
        state::JobState,
    },
    machine::Actor,
    policy::retry::{Attempts, Verdict},
};
use panda_store::{
    Batch, Topic,
    query::{
        job::{self, JobRow, file::JobFile},
        task::{
            dag,
            dataset::{self, Delta},
            file::{self, TaskFile},
        },
    },
};

use crate::{Ops, OpsError};

pub use panda_core::file::account::{LOST_WORKER, NOT_MERGED};

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

/// Changes of counters of one batch, a line a data set.
#[derive(Debug, Default)]
pub struct Deltas(BTreeMap<i64, Delta>);

impl Deltas {
    /// The line of a data set.
    pub fn of(&mut self, dataset: i64) -> &mut Delta {
        self.0.entry(dataset).or_default()
    }
    /// Adds what the table says.
    pub fn add(&mut self, dataset: Option<i64>, change: &Change) {
        let Some(dataset) = dataset else { return };
        let line = self.of(dataset);
        line.used += change.used;
        line.finished += change.finished;
        line.failed += change.failed;
        line.on_hold += change.on_hold;
        line.events += change.events;
        line.events_used += change.events_used;
        line.events_finished += change.events_finished;
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
    pub inputs: Cow<'a, [TaskFile]>,
    /// Its outputs and logs that are not settled otherwise: they fail, or are cancelled, with it.
    pub open_outputs: Vec<&'a JobFile>,
    /// What its report says of inputs (rows of `inputs` by id) that were not read, or their events.
    pub said: BTreeMap<i64, Said>,
    /// What its sources said of their errors, where it is not the diagnosis of the job.
    pub texts: BTreeMap<Source, String>,
    /// CPU seconds that it used; 0 = not known.
    pub cpu_s: i64,
    /// What the retry rules say.
    pub verdict: Verdict,
    /// Who ends it.
    pub actor: Actor,
    /// Why, for its history.
    pub reason: Option<String>,
}

impl<'a> End<'a> {
    /// A job that becomes `after`, with the files that were read for it; nothing is said of its inputs and no rule matches.
    #[must_use]
    pub fn new(before: &'a JobRow, after: JobRow, inputs: &'a [TaskFile], files: &'a [JobFile], actor: Actor) -> Self {
        let reason = after.diag.clone();
        let open_outputs = files.iter().filter(|f| f.role.is_output()).collect();
        Self {
            before,
            after,
            inputs: Cow::Borrowed(inputs),
            open_outputs,
            said: BTreeMap::new(),
            texts: BTreeMap::new(),
            cpu_s: 0,
            verdict: Verdict::USUAL,
            actor,
            reason,
        }
    }
}

/// Adds what the end of a job means to its files and counters; `Ending` asks the rules before.
pub(crate) fn end(batch: &mut Batch, deltas: &mut Deltas, e: &End<'_>, now_us: i64) -> Result<(), OpsError> {
    job::transition::move_to(batch, e.before, &e.after, e.actor, now_us, e.reason.as_deref())?;
    let Some(result) = JobResult::of(e.after.state, e.after.sub_state.as_deref()) else { return Ok(()) };
    inputs(batch, deltas, e, result);
    if result == JobResult::Merging {
        return Ok(());
    }
    let transferring = e.before.state == JobState::Transferring;
    let mut moves: BTreeMap<(FileState, FileState), Vec<i64>> = BTreeMap::new();
    for f in &e.open_outputs {
        if let Some(o) = account::output(&output_use(f, false, transferring), result) {
            deltas.add(f.dataset_id, &o.deltas);
            moves.entry((f.state, o.state)).or_default().push(f.id);
        }
    }
    for ((from, to), ids) in moves {
        for ids in ids.chunks(panda_store::MAX_IN_LIST) {
            job::file::move_all(batch, ids, from, to);
        }
    }
    Ok(())
}

/// An output as the table sees it.
#[must_use]
pub fn output_use(f: &JobFile, stored: bool, transferring: bool) -> OutputUse {
    OutputUse { role: f.role, state: f.state, stored, transferring, events: f.n_events.unwrap_or(0) }
}

/// Rows that go the same way: new state, attempts before and after.
type Way = (FileState, AttemptsKey, AttemptsKey);
type AttemptsKey = (i64, i64, i64, Option<i64>);

fn key(a: Attempts) -> AttemptsKey {
    (a.attempt, a.max_attempt, a.failed, a.max_failure)
}
fn attempts((attempt, max_attempt, failed, max_failure): AttemptsKey) -> Attempts {
    Attempts { attempt, max_attempt, failed, max_failure }
}

/// What becomes of the inputs of an ended job.
pub(super) fn fates<'e>(e: &'e End<'_>, result: JobResult) -> impl Iterator<Item = (&'e TaskFile, InputOutcome)> {
    e.inputs.iter().filter_map(move |f| {
        let said = e.said.get(&f.id).copied().unwrap_or_default();
        let view = InputUse { state: f.state, attempts: f.attempts(), said, events: f.n_events.unwrap_or(0) };
        Some((f, account::input(&view, result, &e.verdict)?))
    })
}

/// Settles the input rows of an ended job; rows that go the same way share a statement.
fn inputs(batch: &mut Batch, deltas: &mut Deltas, e: &End<'_>, result: JobResult) {
    let mut ways: BTreeMap<Way, Vec<i64>> = BTreeMap::new();
    for (f, o) in fates(e, result) {
        deltas.add(Some(f.dataset_id), &o.deltas);
        ways.entry((o.state, key(f.attempts()), key(o.attempts))).or_default().push(f.id);
        if o.state == FileState::Ready {
            batch.wake(Topic::Files);
        } else if f.n_wait.is_some() && o.state.is_settled() {
            dag::ended(batch, f.dataset_id, f.seq);
        }
    }
    for ((state, was, now), ids) in ways {
        for ids in ids.chunks(panda_store::MAX_IN_LIST) {
            file::settle(batch, ids, e.before.id, attempts(was), state, attempts(now));
        }
    }
}

/// Adds to, or takes from, the counters of outputs on hold while a job is transferring.
pub fn transferring(deltas: &mut Deltas, files: &[JobFile], by: i64) {
    for f in files.iter().filter(|f| f.role.is_output() && !f.state.is_settled()) {
        deltas.add(f.dataset_id, &Change { on_hold: by, ..Change::default() });
    }
}

/// Whether the job's outputs are pre-merge files, so that it goes to `merging` when it ended well.
#[must_use]
pub fn waits_for_merge(job: &JobRow, outputs: &[&JobFile]) -> bool {
    matches!(job.kind, JobKind::Run | JobKind::Fine) && outputs.iter().any(|f| f.role == FileRole::TrnOutput)
}

/// Settles what a merge job that ends had taken in (`spec/engine.md` sections 3.6 and 6.3). When it ended badly its inputs are free for another
/// merge, until their attempts are used up: then their jobs count as not merged. Does nothing for jobs of another kind.
pub(super) async fn merge_end(
    ops: &Ops,
    batch: &mut Batch,
    deltas: &mut Deltas,
    merge: &JobRow,
    verdict: &Verdict,
    now_us: i64,
) -> Result<(), OpsError> {
    let result = JobResult::of(merge.state, merge.sub_state.as_deref()).and_then(|r| MergeEnd::of(r, verdict));
    let (JobKind::Merge, Some(end_of_merge)) = (merge.kind, result) else { return Ok(()) };
    merge_as(ops, batch, deltas, merge, end_of_merge, now_us).await
}

/// As [`merge_end`], when it is known what the end means.
pub async fn merge_as(
    ops: &Ops,
    batch: &mut Batch,
    deltas: &mut Deltas,
    merge: &JobRow,
    end_of_merge: MergeEnd,
    now_us: i64,
) -> Result<(), OpsError> {
    let taken = job::file::used_by(&ops.store, merge.id).await?;
    // All files of a pre-merge job go the same way.
    let mut settled: Vec<JobId> = taken.iter().filter(|f| !end_of_merge.again(f.attempt)).map(|f| f.job_id).collect();
    settled.sort_unstable();
    settled.dedup();
    if let MergeEnd::Again(spent) = end_of_merge {
        job::file::free(batch, merge.id, spent);
    }
    let jobs: Vec<JobRow> = job::list::many(&ops.store, &settled).await?.into_iter().filter(|j| j.state == JobState::Merging).collect();
    let (files, inputs) = files_of(ops, &settled).await?;
    for j in &jobs {
        let after = match end_of_merge {
            MergeEnd::Merged => JobRow { state: JobState::Finished, ..j.clone() },
            _ => JobRow {
                state: JobState::Failed,
                sub_state: Some(NOT_MERGED.into()),
                server_error_code: Some(MERGE_FAILED),
                diag: Some(format!("its outputs could not be merged: merge job {} {}", merge.id, merge.state)),
                ..j.clone()
            },
        };
        let takes = inputs.get(&j.id).map_or(&[][..], Vec::as_slice);
        let made = files.get(&j.id).map_or(&[][..], Vec::as_slice);
        let mut e = End::new(j, after, takes, made, Actor::Finisher);
        if end_of_merge == MergeEnd::Merged {
            e.reason = Some(format!("merged by job {}", merge.id));
        }
        end(batch, deltas, &e, now_us)?;
    }
    Ok(())
}

//! `harvester/update_workers`: workers, their jobs, and what the end of a worker means for its jobs.
//!
//! A final state sticks. A number that comes again long after its worker's end, or with another batch job, is another worker: an instance that lost
//! its database counts from 1 again (`spec/harvester.md` section 7).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use panda_access::Principal;
use panda_core::{
    id::JobId,
    job::state::JobState,
    machine::Actor,
    worker::{self, WorkerState},
};
use panda_store::{
    Batch, IdKind,
    query::{
        job::{self, JobRow},
        worker::{self as rows, WorkerRow},
    },
};
use serde_json::Value;

use super::{admitted, told};
use crate::{
    MAX_CONFLICTS, Ops, OpsError,
    job::{
        account::{self, End},
        ending::Ending,
    },
    pilot::update::LOST_HEARTBEAT,
};

/// Most workers of one call: ten times what a Harvester sends at once.
pub const MAX_WORKERS: usize = 1_000;
/// Workers of one batch: each has some five statements and rows, and its jobs.
const A_BATCH: usize = 25;
/// Jobs ended by one batch.
const JOBS_A_BATCH: usize = 40;
/// For how long the number of a worker that has ended is not taken for another worker, microseconds (`spec/harvester.md` section 7).
const STICKS_US: i64 = 3 * 3_600 * 1_000_000;
/// [`panda_core::job::error::Source::Sup`]: the worker ended without its job (`spec/engine.md` section 3.6, upstream's 300).
const WORKER_DONE: i64 = 300;
/// States of a job that ends with its worker.
const WITH_WORKER: [JobState; 2] = [JobState::Starting, JobState::Running];

/// Takes what an instance tells of its workers; one answer a worker, in order: false for one that cannot be read, with a line in the log.
pub async fn update(ops: &Ops, who: &Principal, harvester: &str, workers: Vec<Value>) -> Result<Vec<bool>, OpsError> {
    admitted(ops, who, harvester).await?;
    let vo = ops.only_vo(who).await?;
    if workers.len() > MAX_WORKERS {
        return Err(OpsError::refused(format!("{} workers in one call; send at most {MAX_WORKERS}", workers.len())));
    }
    let mut answers = Vec::with_capacity(workers.len());
    let mut read = Vec::with_capacity(workers.len());
    for value in workers {
        let one = told::read(ops, value).await?;
        if let Err(why) = &one {
            tracing::warn!(harvester, "a worker was not taken: {why}");
        }
        answers.push(one.is_ok());
        read.extend(one.ok());
    }
    let mut rest = read.as_slice();
    while !rest.is_empty() {
        let mut seen = HashSet::new();
        let n = rest.iter().take(A_BATCH).take_while(|w| seen.insert(w.number)).count();
        let (part, others) = rest.split_at(n);
        rest = others;
        some(ops, harvester, part, vo).await?;
    }
    Ok(answers)
}

/// Workers of different numbers.
async fn some(ops: &Ops, harvester: &str, workers: &[told::Worker], vo: Option<&str>) -> Result<(), OpsError> {
    for _ in 0..MAX_CONFLICTS {
        match together(ops, harvester, workers).await {
            Ok(ids) => return consequences(ops, workers, &ids, vo).await,
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    Err(OpsError::refused("the workers change all the time; send them again"))
}

/// Writes them in one batch; the answer is their rows, in order.
async fn together(ops: &Ops, harvester: &str, workers: &[told::Worker]) -> Result<Vec<i64>, OpsError> {
    let now = ops.now().0;
    let numbers: Vec<i64> = workers.iter().map(|w| w.number).collect();
    let known: HashMap<i64, WorkerRow> = rows::many(&ops.store, harvester, &numbers).await?.into_iter().map(|r| (r.number, r)).collect();
    let have = jobs_of(ops, known.values().map(|r| r.id).collect()).await?;
    let (mut batch, mut ids) = (Batch::new(), Vec::with_capacity(workers.len()));
    for w in workers {
        let row = known.get(&w.number);
        let before = row.and_then(|r| have.get(&r.id)).cloned().unwrap_or_default();
        let told: BTreeSet<JobId> = w.jobs.iter().copied().collect();
        let (id, mut kept) = match row {
            Some(r) if !is_another(r, w, now) => (change(&mut batch, r, w, now)?, before),
            row => {
                let id = ops.store.id(IdKind::Row).await?;
                worker::check(None, w.state, Actor::Pilot)?;
                let mut kept = BTreeSet::new();
                if let Some(r) = row {
                    rows::delete(&mut batch, r.id, r.rev);
                    // Its pilot was quicker than its Harvester: what it said stays.
                    kept = if r.told_us == 0 { before } else { BTreeSet::new() };
                }
                rows::add(&mut batch, id, harvester, w.number, w.told.queue, w.state.as_str(), now);
                if let Some(r) = row.filter(|r| r.told_us == 0) {
                    rows::pilot(&mut batch, id, r.pilot_state.as_deref(), None, r.queue, r.modified_us);
                    kept.iter().for_each(|job| rows::relate(&mut batch, id, *job));
                }
                (id, kept)
            }
        };
        rows::tell(&mut batch, id, &w.told, now);
        // An empty list says nothing; another one is the whole truth.
        if !told.is_empty() && told != kept {
            rows::unrelate(&mut batch, id);
            kept = told;
            kept.iter().for_each(|job| rows::relate(&mut batch, id, *job));
        }
        ids.push(id);
    }
    ops.store.apply(batch).await?;
    Ok(ids)
}

/// Jobs by worker row.
async fn jobs_of(ops: &Ops, ids: Vec<i64>) -> Result<BTreeMap<i64, BTreeSet<JobId>>, OpsError> {
    let mut out: BTreeMap<i64, BTreeSet<JobId>> = BTreeMap::new();
    for (worker, job) in rows::jobs(&ops.store, &ids).await? {
        out.entry(worker).or_default().insert(job);
    }
    Ok(out)
}

/// Whether a number stands for another worker than the row.
fn is_another(row: &WorkerRow, w: &told::Worker, now_us: i64) -> bool {
    let Ok(state) = WorkerState::parse(&row.state) else { return false };
    if !state.is_final() {
        return false;
    }
    let other_job = matches!((&row.batch_id, &w.told.batch_id), (Some(a), Some(b)) if a != b);
    // A pilot's word is not the end of its batch job.
    (row.told_us == 0 && !w.state.is_final()) || other_job || (!w.state.is_final() && now_us - row.modified_us > STICKS_US)
}

/// Moves a known worker, if it may go where it is said to be; what cannot follow is no change, since agents restart and repeat themselves.
fn change(batch: &mut Batch, row: &WorkerRow, w: &told::Worker, now_us: i64) -> Result<i64, OpsError> {
    let state = WorkerState::parse(&row.state).map_err(|e| OpsError::Internal(e.to_string()))?;
    if state != w.state && worker::check(Some(state), w.state, Actor::Pilot).is_ok() {
        rows::transition(batch, row.id, row.rev, state.as_str(), w.state.as_str(), now_us);
    }
    Ok(row.id)
}

/// What the workers mean for their jobs, of this VO if one is said. They are looked at again with every call, so that nothing is lost between the two batches.
async fn consequences(ops: &Ops, workers: &[told::Worker], ids: &[i64], vo: Option<&str>) -> Result<(), OpsError> {
    let matters = |w: &told::Worker| w.told.error_code.is_some() || (w.state.is_final() && w.told.sync_level == Some(1));
    let about: BTreeMap<i64, &told::Worker> = ids.iter().copied().zip(workers).filter(|(_, w)| matters(w)).collect();
    if about.is_empty() {
        return Ok(());
    }
    let mut by_job: BTreeMap<JobId, &told::Worker> = BTreeMap::new();
    for (worker, job) in rows::jobs(&ops.store, &about.keys().copied().collect::<Vec<_>>()).await? {
        if let Some(w) = about.get(&worker) {
            by_job.insert(job, w);
        }
    }
    let all: Vec<JobId> = by_job.keys().copied().collect();
    for part in all.chunks(JOBS_A_BATCH) {
        for _ in 0..MAX_CONFLICTS {
            match end(ops, part, &by_job, vo).await {
                Err(e) if e.is_conflict() => {}
                other => {
                    other?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Fails those of these jobs that cannot go on without their workers, and marks others with the worker's error.
async fn end(ops: &Ops, ids: &[JobId], by_job: &BTreeMap<JobId, &told::Worker>, vo: Option<&str>) -> Result<(), OpsError> {
    let now = ops.now().0;
    let jobs = job::list::many(&ops.store, ids).await?;
    let (files, inputs) = account::files_of(ops, ids).await?;
    let mut ending = Ending::new(ops, now).await?;
    for j in jobs.iter().filter(|j| !j.state.is_final() && vo.is_none_or(|vo| j.vo == vo)) {
        let Some(w) = by_job.get(&j.id) else { continue };
        let code = w.told.error_code;
        let diag = format!(
            "The worker was {} while the job was {} : {}",
            w.state,
            j.state,
            w.told.reason.as_deref().unwrap_or("no reason was given")
        );
        if w.state.is_final() && w.told.sync_level == Some(1) && WITH_WORKER.contains(&j.state) {
            let after = JobRow {
                state: JobState::Failed,
                // Should its pilot come back, it still has a payload to stop.
                sub_state: Some(LOST_HEARTBEAT.to_owned()),
                sup_error_code: code.or(Some(WORKER_DONE)),
                diag: Some(diag),
                ended_us: Some(now),
                ..j.clone()
            };
            let reads = inputs.get(&j.id).map_or(&[][..], Vec::as_slice);
            let made = files.get(&j.id).map_or(&[][..], Vec::as_slice);
            ending.end(End::new(j, after, reads, made, Actor::Watcher)).await?;
        } else if let Some(code) = code.filter(|c| j.sup_error_code != Some(*c)) {
            let after = JobRow { sup_error_code: Some(code), diag: w.told.reason.clone().or_else(|| j.diag.clone()), ..j.clone() };
            job::transition::mark(&mut ending.batch, j, &after, now);
        }
    }
    let batch = ending.finish();
    if batch.is_empty() { Ok(()) } else { Ok(ops.store.apply(batch).await?) }
}

//! Hands ranges to a job: first those that others gave back, then new ones.

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{JobId, TaskId},
    job::state::JobState,
    policy::events::RangeState,
};
use panda_store::{
    Batch, IdKind,
    query::{
        job,
        task::{
            events::{self, Range},
            file::TaskFile,
        },
    },
};

use super::{Files, TRIES, files};
use crate::{Ops, OpsError};

/// Most ranges of one call: what a batch holds. Who wants more asks again.
pub const MAX_RANGES: i64 = 400;

/// States in which a job may have ranges: Harvester asks for them before its worker starts.
const ASKS_IN: &[JobState] = &[JobState::Activated, JobState::Sent, JobState::Starting, JobState::Running, JobState::Transferring];

/// A range that a job got, and the file that it is of.
pub type Handed = (Range, TaskFile);

/// Whether a job of this task may have ranges now.
async fn asks(ops: &Ops, who: &Principal, job: JobId, task: Option<TaskId>) -> Result<bool, OpsError> {
    table::allowed(Right::PilotReport, Some(who), None)?;
    let found = job::list::many(&ops.store, &[job]).await?;
    Ok(found.first().is_some_and(|j| ASKS_IN.contains(&j.state) && (task.is_none() || j.task_id == task)))
}

/// How many ranges a job could get: those that nobody has, and those that are not cut yet.
pub async fn available(ops: &Ops, who: &Principal, job: JobId, task: Option<TaskId>) -> Result<i64, OpsError> {
    if !asks(ops, who, job, task).await? {
        return Ok(0);
    }
    let files = files(ops, job).await?;
    let ids: Vec<i64> = files.iter().map(|(f, _)| f.id).collect();
    let mut n: i64 = files.iter().map(|(_, e)| (e.slice.ranges() - e.n_cut).max(0)).sum();
    for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
        n += events::count(&ops.store, chunk).await?.into_iter().filter(|c| c.1 == RangeState::Ready).map(|c| c.3).sum::<i64>();
    }
    Ok(n)
}

/// Gives a job at most `n` ranges; none when there are none left, or when the job has none to get.
pub async fn acquire(ops: &Ops, who: &Principal, job: JobId, task: Option<TaskId>, n: i64) -> Result<Vec<Handed>, OpsError> {
    let n = n.clamp(0, MAX_RANGES);
    if n == 0 || !asks(ops, who, job, task).await? {
        return Ok(Vec::new());
    }
    for _ in 0..TRIES {
        let files = files(ops, job).await?;
        let mut batch = Batch::new();
        let handed = hand(ops, &mut batch, &files, job, n).await?;
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(handed),
            // Another job of the same files was first.
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("others take ranges of the same files all the time; ask again"))
}

async fn hand(ops: &Ops, batch: &mut Batch, files: &Files, job: JobId, n: i64) -> Result<Vec<Handed>, OpsError> {
    let now = ops.now().0;
    let ids: Vec<i64> = files.iter().map(|(f, _)| f.id).collect();
    let mut ready = Vec::new();
    for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
        let left = n - i64::try_from(ready.len()).unwrap_or(n);
        if left > 0 {
            ready.extend(events::ready(&ops.store, chunk, left).await?);
        }
    }
    let rows: Vec<i64> = ready.iter().map(|r| r.id).collect();
    events::hand(batch, &rows, job, now);
    let mut all: Vec<Range> = ready.into_iter().map(|r| Range { state: RangeState::Sent, job_id: job, at_us: now, ..r }).collect();
    let mut left = n - i64::try_from(all.len()).unwrap_or(n);
    let mut new = Vec::new();
    for (f, e) in files {
        let to = e.slice.ranges().min(e.n_cut + left.max(0));
        if to <= e.n_cut {
            continue;
        }
        events::cut(batch, e, to);
        left -= to - e.n_cut;
        let made = (e.n_cut..to).filter_map(|number| {
            let (first_event, last_event) = e.slice.range(number)?;
            Some(Range {
                id: 0,
                file_id: f.id,
                task_id: f.task_id,
                number,
                cut_for: job,
                job_id: job,
                first_event,
                last_event,
                state: RangeState::Sent,
                attempt: 0,
                output: None,
                store_id: None,
                error: None,
                diag: None,
                at_us: now,
            })
        });
        new.extend(made);
    }
    let ids = ops.store.ids(IdKind::Row, new.len()).await?;
    for (r, id) in new.iter_mut().zip(ids) {
        r.id = id;
        events::add(batch, r);
    }
    all.append(&mut new);
    let of = |r: &Range| files.iter().find(|(f, _)| f.id == r.file_id).map(|(f, _)| f.clone());
    Ok(all.into_iter().filter_map(|r| Some((r.clone(), of(&r)?))).collect())
}

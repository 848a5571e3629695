//! Hands ranges to a job: first those that others gave back, then new ones.

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
    policy::events::RangeState,
};
use panda_store::{
    Batch, IdKind,
    query::{
        job::{self, JobRow},
        task::{
            events::{self, EventFile, Range},
            file::TaskFile,
        },
    },
};

use super::{TRIES, files};
use crate::{Ops, OpsError, job::kill::TO_BE_KILLED};

/// Most ranges of one call: what a batch holds. Who wants more asks again.
pub const MAX_RANGES: i64 = 400;

/// States in which a job may have ranges: Harvester asks for them before its worker starts.
const ASKS_IN: &[JobState] = &[JobState::Activated, JobState::Sent, JobState::Starting, JobState::Running, JobState::Transferring];

/// A file whose events are handed out, with how they are cut.
type FileOf = (TaskFile, EventFile);

/// A range that a job got, and the file that it is of.
pub type Handed = (Range, TaskFile);

/// The job, when it is of this task and may have ranges now: whoever was told to stop has none to get.
async fn asks(ops: &Ops, who: &Principal, job: JobId, task: Option<TaskId>) -> Result<Option<JobRow>, OpsError> {
    table::admit(Right::PilotReport, Some(who))?;
    let told = |j: &JobRow| j.command.as_deref().is_some_and(|c| c.contains(TO_BE_KILLED));
    let found = job::list::get(&ops.store, job).await?;
    if let Some(j) = &found {
        table::allowed(Right::PilotReport, Some(who), Some(Object::of_vo(&j.vo)))?;
    }
    Ok(found.filter(|j| ASKS_IN.contains(&j.state) && (task.is_none() || j.task_id == task) && !told(j)))
}

/// How many ranges a job could get: those that nobody has, and those that are not cut yet.
pub async fn available(ops: &Ops, who: &Principal, job: JobId, task: Option<TaskId>) -> Result<i64, OpsError> {
    let Some(job) = asks(ops, who, job, task).await? else { return Ok(0) };
    let files = files(ops, &job).await?;
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
    for _ in 0..TRIES {
        let Some(row) = asks(ops, who, job, task).await?.filter(|_| n > 0) else { return Ok(Vec::new()) };
        if row.kind == JobKind::Clone {
            return semaphore(ops, &row).await;
        }
        let files = files(ops, &row).await?;
        let mut batch = Batch::new();
        // A job that ends at the same time would keep what it gets.
        job::transition::guard(&mut batch, &row);
        let handed = hand(ops, &mut batch, &files, job, n).await?;
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(handed),
            // Another job of the same files was first, or it changes itself.
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("others take ranges of the same files all the time; ask again"))
}

/// The range of the clone that counts; none for the others.
async fn semaphore(ops: &Ops, job: &JobRow) -> Result<Vec<Handed>, OpsError> {
    let once = super::run_once(ops, job).await?;
    if super::claim(ops, job.id, once).await? == super::Claim::Taken {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for (f, _) in files(ops, job).await? {
        let held = events::named(&ops.store, f.id, &[0]).await?.into_iter().filter(|r| r.job_id == job.id && r.state.is_held());
        all.extend(held.map(|r| (r, f.clone())));
    }
    Ok(all)
}

pub(super) async fn hand(ops: &Ops, batch: &mut Batch, files: &[FileOf], job: JobId, n: i64) -> Result<Vec<Handed>, OpsError> {
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

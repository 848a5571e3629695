//! The end of jobs that have event ranges or share their files: what they hold goes to others, and what becomes of the files follows from how the
//! ranges stand (`spec/engine.md` sections 3.7 and 6.3).

use std::{borrow::Cow, collections::BTreeMap};

use panda_core::{
    file::{
        FileState,
        account::{JobResult, Said},
    },
    id::JobId,
    job::{error::CLONED, record::JobKind, state::JobState},
    machine::Actor,
    policy::events::{Fate, RangeState, Tally, fate},
};
use panda_store::{
    Batch, Topic,
    query::{
        job::{self, JobRow},
        task::{
            dataset,
            events::{self, EventFile},
            file::{self, TaskFile},
        },
    },
};

use crate::{
    Ops, OpsError,
    job::{
        account::{self, Deltas, End, files_of},
        judge::Tasks,
        kill::TO_BE_KILLED,
    },
    task::plan::{Events, Mode, Plan},
};

/// Files whose ranges are counted together: by state and job, an answer has room for two hundred lines a file.
const COUNTED_TOGETHER: usize = 100;

/// How the ranges of these files stand, by file.
pub async fn tallies(ops: &Ops, files: &[i64]) -> Result<BTreeMap<i64, (EventFile, Tally)>, OpsError> {
    let mut all = BTreeMap::new();
    for chunk in files.chunks(COUNTED_TOGETHER) {
        for f in events::files(&ops.store, chunk).await? {
            let tally = Tally { ranges: f.slice.ranges(), ..Tally::default() };
            all.insert(f.file_id, (f, tally));
        }
        for (file, state, _, n) in events::count(&ops.store, chunk).await? {
            if let Some((_, tally)) = all.get_mut(&file) {
                tally.add(state, n);
            }
        }
    }
    Ok(all)
}

/// The others that share a job's files and have not ended.
pub async fn others(ops: &Ops, job: &JobRow) -> Result<Vec<JobRow>, OpsError> {
    let ids: Vec<JobId> = events::set_of(&ops.store, job.id).await?.into_iter().filter(|id| *id != job.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(job::list::many(&ops.store, &ids).await?.into_iter().filter(|j| !j.state.is_final()).collect())
}

/// The rows that a job or one of its set is in charge of.
async fn rows(ops: &Ops, job: JobId) -> Result<Vec<TaskFile>, OpsError> {
    let mut ids = events::set_of(&ops.store, job).await?;
    if ids.is_empty() {
        ids.push(job);
    }
    Ok(file::of_jobs(&ops.store, &ids).await?.into_iter().filter(|f| f.state == FileState::Running).collect())
}

/// Who goes on with the files: one that runs before one that waits.
fn heir(others: &[JobRow]) -> Option<&JobRow> {
    others.iter().min_by_key(|j| (!JobState::WITH_PILOT.contains(&j.state), j.id))
}

/// Adds what the end of such a job means beside its own rows, and fills in what is known of its inputs. `plan` is its task's.
/// `others`: those of [`others`].
pub async fn settle(
    ops: &Ops,
    (batch, deltas): (&mut Batch, &mut Deltas),
    plan: &Plan,
    others: &[JobRow],
    e: &mut End<'_>,
    now_us: i64,
) -> Result<(), OpsError> {
    let Some(how) = &plan.events else { return Ok(()) };
    let Some(result) = JobResult::of(e.after.state, e.after.sub_state.as_deref()) else { return Ok(()) };
    let job = e.before.id;
    match e.before.kind {
        JobKind::EsMerge => {
            if result == JobResult::Finished {
                let ids: Vec<i64> = e.inputs.iter().map(|f| f.id).collect();
                for ids in ids.chunks(panda_store::MAX_IN_LIST) {
                    events::move_all(batch, ids, RangeState::Done, RangeState::Merged, now_us);
                }
            }
            Ok(())
        }
        JobKind::Consumer => consumer(ops, (batch, deltas), how, others, e, now_us).await,
        JobKind::Clone => clone(ops, (batch, deltas), others, e, result, now_us).await,
        JobKind::Fine => {
            // Bookkeeping: a job that failed after all of its events were done has done its work.
            let ids: Vec<i64> = e.inputs.iter().map(|f| f.id).collect();
            let found = tallies(ops, &ids).await?;
            let done = ids.iter().all(|id| found.get(id).is_some_and(|(_, t)| t.ranges > 0 && t.is_done()));
            events::free(batch, job, i64::MAX, now_us);
            if done && !matches!(result, JobResult::Finished | JobResult::Merging) {
                e.said = ids.into_iter().map(|id| (id, Said::Done)).collect();
            }
            Ok(())
        }
        JobKind::Jumbo => {
            events::free(batch, job, how.attempts, now_us);
            // Files whose last ranges it had wait for it: they are looked at again.
            look_again(ops, batch, e.before).await
        }
        _ => Ok(()),
    }
}

/// The generator looks at the files of a job's task again.
pub(super) async fn look_again(ops: &Ops, batch: &mut Batch, job: &JobRow) -> Result<(), OpsError> {
    let Some(task) = job.task_id else { return Ok(()) };
    for d in dataset::of_task(&ops.store, task).await?.iter().filter(|d| d.is_master && d.has_more()) {
        dataset::again(batch, d.id);
    }
    batch.wake(Topic::Files);
    Ok(())
}

async fn consumer(
    ops: &Ops,
    (batch, deltas): (&mut Batch, &mut Deltas),
    how: &Events,
    others: &[JobRow],
    e: &mut End<'_>,
    now_us: i64,
) -> Result<(), OpsError> {
    let job = e.before;
    let rows = rows(ops, job.id).await?;
    let ids: Vec<i64> = rows.iter().map(|f| f.id).collect();
    let found = tallies(ops, &ids).await?;
    let most = found.values().map(|(f, _)| f.max_attempt).max().unwrap_or(how.attempts);
    events::free(batch, job.id, most, now_us);
    if rows.is_empty() {
        return Ok(());
    }
    let tallies: Vec<Tally> = found.values().map(|(_, t)| *t).collect();
    let own = events::held_by(&ops.store, job.id).await?;
    let fate = fate(&tallies, how.merge.is_some());
    let over = matches!(fate, Fate::Merge | Fate::Done);
    match heir(others).filter(|_| !over) {
        Some(heir) => {
            share(batch, e, &rows, heir);
            return Ok(());
        }
        None => take_over(batch, e, rows),
    }
    if over {
        close_others(ops, (batch, deltas), e.before.id, others, "all events of its files are done", now_us).await?;
    }
    // What is left is in the hands of jumbo jobs: this attempt left nothing.
    let waits = fate == Fate::Left && tallies.iter().map(Tally::free).sum::<i64>() + own == 0;
    let free = waits || (how.failed_is_free && e.after.state != JobState::Finished && events::done_by(&ops.store, e.before.id).await? > 0);
    let said = match fate {
        Fate::Left if free => Said::LeftFree,
        Fate::Left => Said::Left,
        Fate::Merge => Said::Merge,
        Fate::Done => Said::Done,
        Fate::Lost => Said::Lost,
    };
    // Secondary inputs have no events of their own: what merges does not read them.
    let of = |f: &TaskFile| if said == Said::Merge && !found.contains_key(&f.id) { Said::Done } else { said };
    e.said = e.inputs.iter().map(|f| (f.id, of(f))).collect();
    Ok(())
}

/// Other jobs go on: one of them is in charge of the rows that this one was in charge of.
fn share(batch: &mut Batch, e: &mut End<'_>, rows: &[TaskFile], heir: &JobRow) {
    // Whoever of the set ends at the same time reads again.
    job::transition::guard(batch, heir);
    let mine: Vec<i64> = rows.iter().filter(|f| f.job_id == Some(e.before.id)).map(|f| f.id).collect();
    for ids in mine.chunks(panda_store::MAX_IN_LIST) {
        file::hand_over(batch, ids, e.before.id, heir.id);
    }
    e.said = e.inputs.iter().map(|f| (f.id, Said::Shared)).collect();
}

/// Puts a job in charge of rows of its set.
fn hand_over(batch: &mut Batch, rows: &[TaskFile], to: JobId) {
    let mut of_others: BTreeMap<JobId, Vec<i64>> = BTreeMap::new();
    for f in rows {
        if let Some(other) = f.job_id.filter(|j| *j != to) {
            of_others.entry(other).or_default().push(f.id);
        }
    }
    for (other, ids) in of_others {
        for ids in ids.chunks(panda_store::MAX_IN_LIST) {
            file::hand_over(batch, ids, other, to);
        }
    }
}

/// This job settles all rows of its set, whoever was in charge of them.
fn take_over(batch: &mut Batch, e: &mut End<'_>, rows: Vec<TaskFile>) {
    hand_over(batch, &rows, e.before.id);
    e.inputs = Cow::Owned(rows.into_iter().map(|f| TaskFile { job_id: Some(e.before.id), ..f }).collect());
}

/// Ends those that share the files and are not needed any more: queued ones at once, pilots of the others are told.
async fn close_others(
    ops: &Ops,
    (batch, deltas): (&mut Batch, &mut Deltas),
    first: JobId,
    others: &[JobRow],
    why: &str,
    now_us: i64,
) -> Result<(), OpsError> {
    let ids: Vec<JobId> = others.iter().map(|j| j.id).collect();
    let (mut files, _) = if ids.is_empty() { Default::default() } else { files_of(ops, &ids).await? };
    for other in others {
        let diag = format!("{why}: job {first} was first");
        let mut after = JobRow { server_error_code: Some(CLONED), diag: Some(diag), command: Some(TO_BE_KILLED.into()), ..other.clone() };
        if JobState::WITH_PILOT.contains(&other.state) {
            job::transition::set(batch, other, &after, now_us);
            continue;
        }
        (after.state, after.ended_us) = (JobState::Closed, Some(now_us));
        let made = files.remove(&other.id).unwrap_or_default();
        account::end(batch, deltas, &End::new(other, after, &[], &made, Actor::Engine), now_us)?;
    }
    Ok(())
}

/// A clone: when it counts, the others are over; when it does not, they go on.
async fn clone(
    ops: &Ops,
    (batch, deltas): (&mut Batch, &mut Deltas),
    others: &[JobRow],
    e: &mut End<'_>,
    result: JobResult,
    now_us: i64,
) -> Result<(), OpsError> {
    let rows = rows(ops, e.before.id).await?;
    if result == JobResult::Finished {
        let ids: Vec<i64> = rows.iter().map(|f| f.id).collect();
        take_over(batch, e, rows);
        for ids in ids.chunks(panda_store::MAX_IN_LIST) {
            events::move_all(batch, ids, RangeState::Sent, RangeState::Finished, now_us);
            events::move_all(batch, ids, RangeState::Running, RangeState::Finished, now_us);
        }
        return close_others(ops, (batch, deltas), e.before.id, others, "another clone ended well", now_us).await;
    }
    events::free(batch, e.before.id, i64::MAX, now_us);
    if let Some(heir) = heir(others) {
        share(batch, e, &rows, heir);
    } else if !rows.is_empty() {
        take_over(batch, e, rows);
    }
    Ok(())
}

/// What a clone hears when it asks whether it may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the one that counts.
    Mine,
    /// Another is.
    Taken,
}

/// Whether the first clone that runs counts.
pub async fn run_once(ops: &Ops, job: &JobRow) -> Result<bool, OpsError> {
    let mut tasks = Tasks::default();
    let mode = tasks.of(ops, job).await?.and_then(|t| t.plan().events.as_ref().map(|e| e.mode));
    Ok(mode == Some(Mode::Clones { run_once: true }))
}

/// Makes a clone the one that counts, unless another is: the one range of its set is the semaphore (`spec/engine.md` section 6.3). The others are
/// closed when `run_once`.
pub async fn claim(ops: &Ops, id: JobId, run_once: bool) -> Result<Claim, OpsError> {
    for _ in 0..super::TRIES {
        let Some(job) = job::list::get(&ops.store, id).await? else { return Ok(Claim::Taken) };
        let files = super::files(ops, &job).await?;
        let Some((f, e)) = files.first() else { return Ok(Claim::Taken) };
        let known = events::named(&ops.store, f.id, &[0]).await?;
        match known.first() {
            Some(r) if r.state != RangeState::Ready && r.job_id == id => return Ok(Claim::Mine),
            Some(r) if r.state != RangeState::Ready => return Ok(Claim::Taken),
            _ => {}
        }
        let (mut batch, mut deltas) = (Batch::new(), Deltas::default());
        job::transition::guard(&mut batch, &job);
        super::acquire::hand(ops, &mut batch, &[(f.clone(), e.clone())], id, 1).await?;
        if run_once {
            // Who was in charge of the files may be one of those that end now.
            hand_over(&mut batch, &rows(ops, id).await?, id);
            let others = others(ops, &job).await?;
            close_others(ops, (&mut batch, &mut deltas), id, &others, "another clone runs", ops.now().0).await?;
        }
        deltas.flush(&mut batch);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(Claim::Mine),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("clones of the same files change all the time; try again"))
}

//! Removes archived rows for good, in batches that stand alone and keep the sizes right.

use panda_core::id::{JobId, TaskId};

use super::shift;
use crate::{
    Batch, Error, Store,
    query::{
        MAX_PAGE,
        task::{TaskRow, read, task_columns},
    },
    statements,
};

statements! {
    [hot] read TASKS = "expire.tasks", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.vo = :vo AND t.modified_us >= :from AND t.modified_us < :before AND NOT EXISTS (SELECT 1 FROM archive_left l WHERE l.task_id = t.id) ORDER BY t.modified_us, t.id LIMIT :n");
    [hot] read ALONE = "expire.alone", "SELECT id, label, modified_us FROM job_archive WHERE task_id IS NULL AND vo = :vo AND modified_us >= :from AND modified_us < :before ORDER BY modified_us, id LIMIT :n";
    [hot] read JOBS = "expire.jobs", "SELECT id FROM job_archive WHERE task_id = :task ORDER BY id LIMIT :n";
    [hot] read FILES = "expire.files", "SELECT id FROM task_archive_file WHERE dataset_id = :dataset ORDER BY seq LIMIT :n";
    [hot] read COUNT_EVENTS = "expire.count_events", "SELECT COUNT(*) FROM job_archive_event WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read DOCS = "expire.size_docs", "SELECT COUNT(*), SUM(LENGTH(doc)) FROM job_archive_doc WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read ENDS = "expire.size_ends", "SELECT COUNT(*), SUM(LENGTH(doc)), SUM(LENGTH(meta)) FROM job_archive_end WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read COMMONS = "expire.commons", "SELECT DISTINCT common_id FROM job_archive_doc WHERE job_id IN (:ids*) ORDER BY common_id LIMIT 1000";
    [hot] write JOB = "expire.job", "DELETE FROM job_archive WHERE id IN (:ids*)";
    [hot] write DOC = "expire.doc", "DELETE FROM job_archive_doc WHERE job_id IN (:ids*)";
    [hot] write COMMON = "expire.common", "DELETE FROM job_archive_common WHERE id IN (:commons*) AND NOT EXISTS (SELECT 1 FROM job_archive_doc d WHERE d.common_id = job_archive_common.id)";
    [hot] write EVENT = "expire.event", "DELETE FROM job_archive_event WHERE job_id IN (:ids*)";
    [hot] write FILE = "expire.file", "DELETE FROM job_archive_file WHERE job_id IN (:ids*)";
    [hot] write END = "expire.end", "DELETE FROM job_archive_end WHERE job_id IN (:ids*)";
    [hot] write RETRY = "expire.retry", "DELETE FROM job_archive_retry WHERE new_id IN (:ids*)";
    [hot] write TASK = "expire.task", "DELETE FROM task_archive WHERE id = :id";
    [hot] write TDOC = "expire.tdoc", "DELETE FROM task_archive_doc WHERE task_id = :id";
    [hot] write TEVENT = "expire.tevent", "DELETE FROM task_archive_event WHERE task_id = :id";
    [hot] write TSET = "expire.set", "DELETE FROM task_archive_set WHERE task_id = :id";
    [hot] write TFILE = "expire.tfile", "DELETE FROM task_archive_file WHERE id IN (:ids*)";
    [hot] write DECISION = "expire.decision", "DELETE FROM decision WHERE subject_id IN (:ids*)";
    [hot] write DECISION_HISTORY = "expire.decision_history", "DELETE FROM decision_history WHERE subject_id IN (:ids*)";
    [hot] read HISTORIES = "expire.histories", "SELECT DISTINCT job_id FROM job_archive_event WHERE job_id > :after ORDER BY job_id LIMIT :n";
    [hot] read AGES = "expire.ages", "SELECT id, vo, label, modified_us FROM job_archive WHERE id IN (:ids*) ORDER BY id LIMIT 1000";
    [hot] read OLDEST_TASK = "expire.oldest_task", "SELECT modified_us FROM task_archive WHERE vo = :vo ORDER BY modified_us LIMIT 1";
    [hot] read OLDEST_ALONE = "expire.oldest_alone", "SELECT modified_us FROM job_archive WHERE task_id IS NULL AND vo = :vo ORDER BY modified_us LIMIT 1";
}

/// When an archived thing ended, and the VO and label that say how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// Number.
    pub id: JobId,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Microseconds UTC.
    pub ended_us: i64,
}

/// Complete archived tasks of a VO that ended between `from_us` and `before_us`, oldest first; at most `n` and 1,000.
pub async fn tasks(store: &Store, vo: &str, from_us: i64, before_us: i64, n: i64) -> Result<Vec<TaskRow>, Error> {
    let binds = vec![("vo", vo.into()), ("from", from_us.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    store.fetch(&TASKS, binds).await?.iter().map(read).collect()
}
/// Archived jobs of a VO without a task that ended between `from_us` and `before_us`, oldest first; at most `n` and 1,000.
pub async fn alone(store: &Store, vo: &str, from_us: i64, before_us: i64, n: i64) -> Result<Vec<Age>, Error> {
    let binds = vec![("vo", vo.into()), ("from", from_us.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(&ALONE, binds).await?;
    let age = |r: &crate::Row| Ok(Age { id: JobId(r.int(0)?), vo: vo.to_owned(), label: r.text(1)?.to_owned(), ended_us: r.int(2)? });
    rows.iter().map(age).collect()
}
/// Archived jobs of a task, by id; at most `n` and 1,000.
pub async fn jobs_of(store: &Store, task: TaskId, n: i64) -> Result<Vec<JobId>, Error> {
    let rows = store.fetch(&JOBS, vec![("task", task.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// Archived files of a task's data set, by id; at most `n` and 1,000.
pub async fn files_of(store: &Store, dataset: i64, n: i64) -> Result<Vec<i64>, Error> {
    let rows = store.fetch(&FILES, vec![("dataset", dataset.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| r.int(0)).collect()
}
#[expect(clippy::cast_possible_truncation, reason = "a sum of byte counts; some backends answer a real")]
fn bytes(r: &crate::Row, i: usize) -> Result<i64, Error> {
    Ok(r.opt_real(i)?.unwrap_or(0.0) as i64)
}
/// Removes archived jobs of a VO (at most 500) with everything of theirs.
pub async fn jobs(store: &Store, batch: &mut Batch, vo: &str, jobs: &[JobId]) -> Result<(), Error> {
    let ids: Vec<i64> = jobs.iter().map(|j| j.0).collect();
    let by = || vec![("ids", ids.clone().into())];
    let events = store.fetch(&COUNT_EVENTS, by()).await?.first().map_or(Ok(0), |r| r.int(0))?;
    let mut size = 0;
    for r in store.fetch(&DOCS, by()).await? {
        size += bytes(&r, 1)?;
    }
    for r in store.fetch(&ENDS, by()).await? {
        size += bytes(&r, 1)? + bytes(&r, 2)?;
    }
    let commons: Vec<i64> = store.fetch(&COMMONS, by()).await?.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    batch.guard(&JOB, by(), ids.len() as u64);
    for statement in [&DOC, &EVENT, &FILE, &END, &RETRY, &DECISION, &DECISION_HISTORY] {
        batch.exec(statement, by());
    }
    if !commons.is_empty() {
        batch.exec(&COMMON, vec![("commons", commons.into())]);
    }
    shift::size(batch, vo, shift::JOBS, -(ids.len() as i64), -size);
    shift::size(batch, vo, shift::HISTORY, -events, 0);
    Ok(())
}
/// Removes archived files of tasks of a VO (at most 1,000).
pub fn files(batch: &mut Batch, vo: &str, ids: &[i64]) {
    batch.guard(&TFILE, vec![("ids", ids.to_vec().into())], ids.len() as u64);
    shift::size(batch, vo, shift::TASK_FILES, -(ids.len() as i64), 0);
}
/// Removes an archived task that has no archived jobs and files any more.
pub fn task(batch: &mut Batch, t: &TaskRow) {
    batch.guard(&TASK, vec![("id", t.id.into())], 1);
    for statement in [&TDOC, &TEVENT, &TSET] {
        batch.exec(statement, vec![("id", t.id.into())]);
    }
    for statement in [&DECISION, &DECISION_HISTORY] {
        batch.exec(statement, vec![("ids", vec![t.id.0].into())]);
    }
    shift::size(batch, &t.vo, shift::TASKS, -1, 0);
}
/// Archived jobs above `after` that have a history; at most `n` and 1,000. The second part is the last job looked at.
pub async fn histories(store: &Store, after: JobId, n: i64) -> Result<(Vec<Age>, Option<JobId>), Error> {
    let rows = store.fetch(&HISTORIES, vec![("after", after.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    let ids: Vec<i64> = rows.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    let Some(last) = ids.last().copied() else { return Ok((Vec::new(), None)) };
    let rows = store.fetch(&AGES, vec![("ids", ids.into())]).await?;
    let age =
        |r: &crate::Row| Ok(Age { id: JobId(r.int(0)?), vo: r.text(1)?.to_owned(), label: r.text(2)?.to_owned(), ended_us: r.int(3)? });
    Ok((rows.iter().map(age).collect::<Result<_, Error>>()?, Some(JobId(last))))
}
/// Removes the histories of archived jobs of a VO (at most 500); the answer is the number of lines.
pub async fn history(store: &Store, batch: &mut Batch, vo: &str, jobs: &[JobId]) -> Result<i64, Error> {
    let ids: Vec<i64> = jobs.iter().map(|j| j.0).collect();
    let events = store.fetch(&COUNT_EVENTS, vec![("ids", ids.clone().into())]).await?.first().map_or(Ok(0), |r| r.int(0))?;
    batch.guard(&EVENT, vec![("ids", ids.into())], u64::try_from(events).unwrap_or(0));
    shift::size(batch, vo, shift::HISTORY, -events, 0);
    Ok(events)
}
/// When the oldest archived task and the oldest archived job without a task of a VO ended, microseconds UTC.
pub async fn oldest(store: &Store, vo: &str) -> Result<(Option<i64>, Option<i64>), Error> {
    let task = store.fetch(&OLDEST_TASK, vec![("vo", vo.into())]).await?.first().map(|r| r.int(0)).transpose()?;
    let job = store.fetch(&OLDEST_ALONE, vec![("vo", vo.into())]).await?.first().map(|r| r.int(0)).transpose()?;
    Ok((task, job))
}

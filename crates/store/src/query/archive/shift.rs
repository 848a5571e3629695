//! Moves what has ended into the archive, in batches that stand alone: a crash between two of them leaves every row in exactly one place.
//!
//! `SELECT *` copies a row as it is: hot and cold tables are made from one list of columns (`schema`). Every copy and every removal of a
//! batch is guarded by the number of rows that it was decided on.

use panda_core::{
    id::{JobId, TaskId},
    job::state::JobState,
    task::state::TaskState,
};

use crate::{
    Batch, Error, Store,
    query::{
        MAX_PAGE,
        job::list::words,
        task::{TaskRow, events, read, task_columns},
    },
    statements,
};

statements! {
    // Tasks that ended before a time and whose jobs have not been moved since, or that ended long ago.
    [hot] read ENDED = "archive.ended", concat!("SELECT ", task_columns!(), ", t.cold_us FROM task t WHERE t.state IN (:states*) AND t.id > :after AND t.state_us < :before AND (t.cold_us IS NULL OR t.cold_us < t.state_us OR t.state_us < :long) ORDER BY t.id LIMIT :n");
    [hot] read ALL_JOBS = "archive.jobs", "SELECT id FROM job WHERE task_id = :task AND state IN (:states*) ORDER BY id LIMIT :n";
    // A library is read by the jobs of a later retry: its build stays as long as its task.
    [hot] read RUN_JOBS = "archive.run_jobs", "SELECT id FROM job WHERE task_id = :task AND state IN (:states*) AND kind <> 'build' ORDER BY id LIMIT :n";
    [hot] read ALONE = "archive.alone", "SELECT id, vo, label, state_us FROM job WHERE task_id IS NULL AND state IN (:states*) AND id > :after AND state_us < :before ORDER BY id LIMIT :n";
    [hot] read LIVE = "archive.live_jobs", "SELECT COUNT(*) FROM job WHERE task_id = :task LIMIT 1";
    [hot] read COUNT_EVENTS = "archive.count_events", "SELECT COUNT(*) FROM job_event WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read COUNT_FILES = "archive.count_files", "SELECT COUNT(*) FROM job_file WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read DOCS = "archive.size_docs", "SELECT COUNT(*), SUM(LENGTH(doc)) FROM job_doc WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read ENDS = "archive.size_ends", "SELECT COUNT(*), SUM(LENGTH(doc)), SUM(LENGTH(meta)) FROM job_end WHERE job_id IN (:ids*) LIMIT 1";
    [hot] read COMMONS = "archive.commons", "SELECT DISTINCT common_id FROM job_doc WHERE job_id IN (:ids*) ORDER BY common_id LIMIT 1000";
    [hot] write GUARD = "archive.guard", "UPDATE task SET rev = rev WHERE id = :id AND rev = :rev";
    [hot] write MOVED = "archive.moved", "UPDATE task SET cold_us = :now WHERE id = :id AND rev = :rev";

    [hot] write JOB_COPY = "archive.job_copy", "INSERT INTO job_archive SELECT * FROM job WHERE id IN (:ids*) AND state IN (:states*)";
    [hot] write JOB_DROP = "archive.job_drop", "DELETE FROM job WHERE id IN (:ids*) AND state IN (:states*)";
    [hot] write COMMON_COPY = "archive.common_copy", "INSERT INTO job_archive_common SELECT * FROM job_common WHERE id IN (:commons*) {skip_dup(id)}",
        mysql: "INSERT IGNORE INTO job_archive_common SELECT * FROM job_common WHERE id IN (:commons*)"; // `id` would be ambiguous in the other form
    [hot] write COMMON_DROP = "archive.common_drop", "DELETE FROM job_common WHERE id IN (:commons*) AND NOT EXISTS (SELECT 1 FROM job_doc d WHERE d.common_id = job_common.id)";
    [hot] write DOC_COPY = "archive.doc_copy", "INSERT INTO job_archive_doc SELECT * FROM job_doc WHERE job_id IN (:ids*)";
    [hot] write DOC_DROP = "archive.doc_drop", "DELETE FROM job_doc WHERE job_id IN (:ids*)";
    [hot] write EVENT_COPY = "archive.event_copy", "INSERT INTO job_archive_event SELECT * FROM job_event WHERE job_id IN (:ids*)";
    [hot] write EVENT_DROP = "archive.event_drop", "DELETE FROM job_event WHERE job_id IN (:ids*)";
    [hot] write FILE_COPY = "archive.file_copy", "INSERT INTO job_archive_file SELECT * FROM job_file WHERE job_id IN (:ids*)";
    [hot] write FILE_DROP = "archive.file_drop", "DELETE FROM job_file WHERE job_id IN (:ids*)";
    [hot] write END_COPY = "archive.end_copy", "INSERT INTO job_archive_end SELECT * FROM job_end WHERE job_id IN (:ids*)";
    [hot] write END_DROP = "archive.end_drop", "DELETE FROM job_end WHERE job_id IN (:ids*)";
    [hot] write RETRY_COPY = "archive.retry_copy", "INSERT INTO job_archive_retry SELECT * FROM job_retry WHERE new_id IN (:ids*)";
    [hot] write RETRY_DROP = "archive.retry_drop", "DELETE FROM job_retry WHERE new_id IN (:ids*)";
    [hot] write LIVE_DROP = "archive.live_drop", "DELETE FROM job_live WHERE job_id IN (:ids*)";
    [hot] write USE_DROP = "archive.use_drop", "DELETE FROM cache_use WHERE subject_id IN (:ids*)";

    [hot] write TASK_COPY = "archive.task_copy", "INSERT INTO task_archive SELECT * FROM task WHERE id = :id AND rev = :rev";
    [hot] write TASK_DROP = "archive.task_drop", "DELETE FROM task WHERE id = :id AND rev = :rev";
    [hot] write TDOC_COPY = "archive.tdoc_copy", "INSERT INTO task_archive_doc SELECT * FROM task_doc WHERE task_id = :id";
    [hot] write TDOC_DROP = "archive.tdoc_drop", "DELETE FROM task_doc WHERE task_id = :id";
    [hot] write TEVENT_COPY = "archive.tevent_copy", "INSERT INTO task_archive_event SELECT * FROM task_event WHERE task_id = :id";
    [hot] write TEVENT_DROP = "archive.tevent_drop", "DELETE FROM task_event WHERE task_id = :id";
    [hot] write SET_COPY = "archive.set_copy", "INSERT INTO task_archive_set SELECT * FROM task_dataset WHERE task_id = :id";
    [hot] write SET_DROP = "archive.set_drop", "DELETE FROM task_dataset WHERE task_id = :id";
    [hot] write DAG_DROP = "archive.dag_drop", "DELETE FROM task_dag WHERE dataset_id IN (SELECT id FROM task_dataset WHERE task_id = :id)",
        mysql: "DELETE g FROM task_dag g JOIN task_dataset d ON d.id = g.dataset_id WHERE d.task_id = :id";
    [hot] write NAME_DROP = "archive.name_drop", "DELETE FROM task_name WHERE person_id = :person AND name = :name AND task_id = :id";
    insert LEFT_ADD = "archive.left_add" => archive_left (task_id: Int), "";
    [hot] write LEFT_DROP = "archive.left_drop", "DELETE FROM archive_left WHERE task_id = :id";
    read LEFT = "archive.left", "SELECT task_id FROM archive_left ORDER BY task_id LIMIT :n";
    [hot] read LEFT_FILES = "archive.left_files", "SELECT id FROM task_file WHERE dataset_id = :dataset ORDER BY seq LIMIT :n";
    [hot] write TFILE_COPY = "archive.tfile_copy", "INSERT INTO task_archive_file SELECT * FROM task_file WHERE id IN (:ids*)";
    [hot] write TFILE_DROP = "archive.tfile_drop", "DELETE FROM task_file WHERE id IN (:ids*)";

    write SIZE = "archive.size", "INSERT INTO archive_size (vo, kind, n_rows, n_bytes) VALUES (:vo, :kind, :rows, :bytes) {upsert(vo,kind): n_rows = archive_size.n_rows + new.n_rows, n_bytes = archive_size.n_bytes + new.n_bytes}";
    read SIZES = "archive.sizes", "SELECT vo, kind, n_rows, n_bytes FROM archive_size ORDER BY vo, kind LIMIT 10000";
}

/// Kinds of [`sizes`].
pub const JOBS: &str = "jobs";
/// Lines of histories.
pub const HISTORY: &str = "history";
/// Tasks.
pub const TASKS: &str = "tasks";
/// Input files of tasks.
pub const TASK_FILES: &str = "task files";

/// A hot task that ended, and when its jobs were last moved.
pub type Ended = (TaskRow, Option<i64>);

/// Tasks above `after` that ended before `before_us` and have something to move, or ended before `long_us`; at most `n` and 1,000.
pub async fn ended(store: &Store, after: TaskId, before_us: i64, long_us: i64, n: i64) -> Result<Vec<Ended>, Error> {
    let states: Vec<String> = TaskState::FINAL.iter().map(|s| s.as_str().to_owned()).collect();
    let n = n.min(MAX_PAGE);
    let binds =
        vec![("states", states.into()), ("after", after.into()), ("before", before_us.into()), ("long", long_us.into()), ("n", n.into())];
    let rows = store.fetch(&ENDED, binds).await?;
    rows.iter().map(|r| Ok((read(r)?, r.opt_int(r.0.len() - 1)?))).collect()
}
/// Ended jobs of a task, by id; without `builds` those that made a library stay out. At most `n` and 1,000.
pub async fn jobs_of(store: &Store, task: TaskId, builds: bool, n: i64) -> Result<Vec<JobId>, Error> {
    let binds = vec![("task", task.into()), ("states", words(JobState::FINAL)), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(if builds { &ALL_JOBS } else { &RUN_JOBS }, binds).await?;
    rows.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// How many jobs of a task are hot.
pub async fn hot_jobs(store: &Store, task: TaskId) -> Result<i64, Error> {
    store.fetch(&LIVE, vec![("task", task.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// A job without a task that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// Number.
    pub id: JobId,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// When it ended, microseconds UTC.
    pub state_us: i64,
}
/// Jobs without a task above `after` that ended before `before_us`; at most `n` and 1,000.
pub async fn alone(store: &Store, after: JobId, before_us: i64, n: i64) -> Result<Vec<Alone>, Error> {
    let binds =
        vec![("states", words(JobState::FINAL)), ("after", after.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(&ALONE, binds).await?;
    rows.iter()
        .map(|r| Ok(Alone { id: JobId(r.int(0)?), vo: r.text(1)?.to_owned(), label: r.text(2)?.to_owned(), state_us: r.int(3)? }))
        .collect()
}

/// What goes along with jobs that are moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Along {
    ids: Vec<i64>,
    commons: Vec<i64>,
    events: i64,
    files: i64,
    docs: i64,
    ends: i64,
    bytes: i64,
}

#[expect(clippy::cast_possible_truncation, reason = "a sum of byte counts; some backends answer a real")]
fn bytes(r: &crate::Row, i: usize) -> Result<i64, Error> {
    Ok(r.opt_real(i)?.unwrap_or(0.0) as i64)
}

/// Counts what goes along with these ended jobs (at most 500).
pub async fn along(store: &Store, jobs: &[JobId]) -> Result<Along, Error> {
    let ids: Vec<i64> = jobs.iter().map(|j| j.0).collect();
    let by = || vec![("ids", ids.clone().into())];
    let mut all = Along { ids: ids.clone(), ..Along::default() };
    for r in store.fetch(&COMMONS, by()).await? {
        all.commons.push(r.int(0)?);
    }
    for r in store.fetch(&COUNT_EVENTS, by()).await? {
        all.events = r.int(0)?;
    }
    for r in store.fetch(&COUNT_FILES, by()).await? {
        all.files = r.int(0)?;
    }
    for r in store.fetch(&DOCS, by()).await? {
        (all.docs, all.bytes) = (r.int(0)?, bytes(&r, 1)?);
    }
    for r in store.fetch(&ENDS, by()).await? {
        all.ends = r.int(0)?;
        all.bytes += bytes(&r, 1)? + bytes(&r, 2)?;
    }
    Ok(all)
}
/// Moves ended jobs with everything that [`along`] counted. A conflict when one of them has changed since.
pub fn jobs(batch: &mut Batch, a: &Along, vo: &str) {
    let n = |n: i64| u64::try_from(n).unwrap_or(0);
    let by = || vec![("ids", a.ids.clone().into())];
    let ended = || vec![("ids", a.ids.clone().into()), ("states", words(JobState::FINAL))];
    let all = a.ids.len() as u64;
    batch.guard(&JOB_COPY, ended(), all);
    batch.guard(&JOB_DROP, ended(), all);
    if !a.commons.is_empty() {
        batch.exec(&COMMON_COPY, vec![("commons", a.commons.clone().into())]);
    }
    for (copy, drop, rows) in [
        (&DOC_COPY, &DOC_DROP, a.docs),
        (&EVENT_COPY, &EVENT_DROP, a.events),
        (&FILE_COPY, &FILE_DROP, a.files),
        (&END_COPY, &END_DROP, a.ends),
    ] {
        batch.guard(copy, by(), n(rows));
        batch.guard(drop, by(), n(rows));
    }
    if !a.commons.is_empty() {
        batch.exec(&COMMON_DROP, vec![("commons", a.commons.clone().into())]);
    }
    batch.exec(&RETRY_COPY, by());
    batch.exec(&RETRY_DROP, by());
    batch.exec(&LIVE_DROP, by());
    batch.exec(&USE_DROP, by());
    size(batch, vo, JOBS, a.ids.len() as i64, a.bytes);
    size(batch, vo, HISTORY, a.events, 0);
}
/// Makes the batch a conflict when the task has changed since it was read; nothing of it is written.
pub fn guard(batch: &mut Batch, t: &TaskRow) {
    batch.guard(&GUARD, vec![("id", t.id.into()), ("rev", t.rev.into())], 1);
}
/// Notes that the ended jobs of a task are in the archive.
pub fn jobs_moved(batch: &mut Batch, t: &TaskRow, now_us: i64) {
    batch.guard(&MOVED, vec![("now", now_us.into()), ("id", t.id.into()), ("rev", t.rev.into())], 1);
}
/// Moves a task that has no hot jobs with its parameters, history and data sets; [`left`] finds the task until its files followed.
pub fn task(batch: &mut Batch, t: &TaskRow) {
    let row = || vec![("id", t.id.into()), ("rev", t.rev.into())];
    let by = || vec![("id", t.id.into())];
    batch.guard(&TASK_COPY, row(), 1);
    batch.guard(&TASK_DROP, row(), 1);
    batch.exec(&DAG_DROP, by());
    events::forget(batch, t.id);
    for (copy, drop) in [(&TDOC_COPY, &TDOC_DROP), (&TEVENT_COPY, &TEVENT_DROP), (&SET_COPY, &SET_DROP)] {
        batch.exec(copy, by());
        batch.exec(drop, by());
    }
    batch.exec(&NAME_DROP, vec![("person", t.person_id.into()), ("name", (&t.name).into()), ("id", t.id.into())]);
    batch.exec(&USE_DROP, vec![("ids", vec![t.id.0].into())]);
    batch.insert(&LEFT_ADD, vec![t.id.into()]);
    size(batch, &t.vo, TASKS, 1, 0);
}
/// Archived tasks whose files are still on their way; at most `n` and 1,000.
pub async fn left(store: &Store, n: i64) -> Result<Vec<TaskId>, Error> {
    let rows = store.fetch(&LEFT, vec![("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok(TaskId(r.int(0)?))).collect()
}
/// Rows of `task_file` of an archived task's data set that have not followed; at most `n` and 1,000.
pub async fn left_files(store: &Store, dataset: i64, n: i64) -> Result<Vec<i64>, Error> {
    let rows = store.fetch(&LEFT_FILES, vec![("dataset", dataset.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| r.int(0)).collect()
}
/// Moves files (at most 1,000) of an archived task.
pub fn files(batch: &mut Batch, ids: &[i64], vo: &str) {
    let n = ids.len() as u64;
    batch.guard(&TFILE_COPY, vec![("ids", ids.to_vec().into())], n);
    batch.guard(&TFILE_DROP, vec![("ids", ids.to_vec().into())], n);
    size(batch, vo, TASK_FILES, ids.len() as i64, 0);
}
/// Everything of the task is in the archive.
pub fn complete(batch: &mut Batch, task: TaskId) {
    batch.exec(&LEFT_DROP, vec![("id", task.into())]);
}

/// Adds to what the archive holds.
pub fn size(batch: &mut Batch, vo: &str, kind: &str, rows: i64, bytes: i64) {
    if rows != 0 || bytes != 0 {
        batch.exec(&SIZE, vec![("vo", vo.into()), ("kind", kind.into()), ("rows", rows.into()), ("bytes", bytes.into())]);
    }
}
/// What the archive holds: VO, kind, rows, bytes (of documents).
pub async fn sizes(store: &Store) -> Result<Vec<(String, String, i64, i64)>, Error> {
    let rows = store.fetch(&SIZES, vec![]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned(), r.int(2)?, r.int(3)?))).collect()
}

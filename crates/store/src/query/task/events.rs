//! Ranges of events of the event service: of each file how it is cut and how much of it was cut, and the ranges that were; jobs that share files.

use panda_core::{
    id::{JobId, TaskId},
    policy::events::{RangeState, Slice},
};

use crate::{Batch, Error, Row, Store, query::code, statements};

/// How the events of a file are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFile {
    /// The file: a row of `task_file`.
    pub file_id: i64,
    /// Its task.
    pub task_id: TaskId,
    /// Its events.
    pub slice: Slice,
    /// Ranges that were cut so far.
    pub n_cut: i64,
    /// Attempts of a range.
    pub max_attempt: i64,
}

/// A range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Row id.
    pub id: i64,
    /// Its file.
    pub file_id: i64,
    /// Its task.
    pub task_id: TaskId,
    /// Number within the file, from 0.
    pub number: i64,
    /// The job for which it was cut: part of its name.
    pub cut_for: JobId,
    /// The job that has it, or had it last.
    pub job_id: JobId,
    /// First event within the file.
    pub first_event: i64,
    /// Last event.
    pub last_event: i64,
    /// State.
    pub state: RangeState,
    /// Attempts before this one.
    pub attempt: i64,
    /// The file with its output.
    pub output: Option<String>,
    /// The object store where that lies.
    pub store_id: Option<i64>,
    /// What went wrong, as the pilot has it.
    pub error: Option<i64>,
    /// The same in words.
    pub diag: Option<String>,
    /// When it changed last, microseconds UTC.
    pub at_us: i64,
}

macro_rules! range_columns {
    () => {
        "id, file_id, task_id, n_range, cut_for, job_id, first_event, last_event, state, attempt, output, store_id, error_code, diag, at_us"
    };
}

statements! {
    insert FILE_ADD = "event_file.add" => event_file (file_id: Int, task_id: Int, first_event: Int, n_events: Int, n_each: Int, n_cut: Int, max_attempt: Int), "{skip_dup(file_id)}";
    [hot] read FILES = "event_file.of", "SELECT file_id, task_id, first_event, n_events, n_each, n_cut, max_attempt FROM event_file WHERE file_id IN (:ids*) ORDER BY file_id LIMIT 1000";
    [hot] write CUT = "event_file.cut", "UPDATE event_file SET n_cut = :to WHERE file_id = :file AND n_cut = :was";
    insert ADD = "event_range.add" => event_range (id: Int, file_id: Int, task_id: Int, n_range: Int, cut_for: Int, job_id: Int, first_event: Int, last_event: Int, state: Text, attempt: Int, output: Text, store_id: Int, error_code: Int, diag: Text, at_us: Int), "";
    [hot] read READY = "event_range.ready", concat!("SELECT ", range_columns!(), " FROM event_range WHERE file_id IN (:files*) AND state = 'ready' ORDER BY file_id, n_range LIMIT :n");
    [hot] read NAMED = "event_range.named", concat!("SELECT ", range_columns!(), " FROM event_range WHERE file_id = :file AND n_range IN (:numbers*) ORDER BY n_range LIMIT 1000");
    [hot] read OF_JOB = "event_range.of_job", concat!("SELECT ", range_columns!(), " FROM event_range WHERE job_id = :job AND id > :after ORDER BY id LIMIT :n");
    [hot] read COUNT = "event_range.count", "SELECT file_id, state, job_id, COUNT(*) FROM event_range WHERE file_id IN (:files*) GROUP BY file_id, state, job_id ORDER BY file_id, state, job_id LIMIT 20000";
    read COUNT_TASK = "event_range.count_task", "SELECT state, COUNT(*) FROM event_range WHERE task_id = :task GROUP BY state ORDER BY state LIMIT 100";
    [hot] write HAND = "event_range.hand", "UPDATE event_range SET state = 'sent', job_id = :job, at_us = :now WHERE id IN (:ids*) AND state = 'ready'";
    [hot] write SETTLE = "event_range.settle", "UPDATE event_range SET state = :state, attempt = :attempt, output = :output, store_id = :store, error_code = :error, diag = :diag, at_us = :now WHERE id = :id AND state = :from AND attempt = :was AND job_id = :job";
    [hot] write GIVE_UP = "event_range.give_up", "UPDATE event_range SET state = 'failed', at_us = :now WHERE job_id = :job AND state IN ('sent', 'running') AND attempt + 1 >= :most";
    [hot] write FREE = "event_range.free", "UPDATE event_range SET state = 'ready', attempt = attempt + 1, at_us = :now WHERE job_id = :job AND state IN ('sent', 'running')";
    [hot] write MOVE = "event_range.move", "UPDATE event_range SET state = :to, at_us = :now WHERE file_id IN (:files*) AND state = :from";
    [hot] read OUTPUTS = "event_range.outputs", "SELECT output, store_id FROM event_range WHERE file_id IN (:files*) AND state IN ('finished', 'done') AND output IS NOT NULL GROUP BY output, store_id ORDER BY output LIMIT :n";
    [hot] read DONE_BY = "event_range.done_by", "SELECT COUNT(*) FROM event_range WHERE job_id = :job AND state IN ('finished', 'done', 'merged') LIMIT 1";
    [hot] read HELD_BY = "event_range.held_by", "SELECT COUNT(*) FROM event_range WHERE job_id = :job AND state IN ('sent', 'running') LIMIT 1";
    [hot] read OF_TASK = "event_file.of_task", "SELECT file_id, task_id, first_event, n_events, n_each, n_cut, max_attempt FROM event_file WHERE task_id = :task AND file_id > :after ORDER BY file_id LIMIT :n";
    insert JOB_ADD = "event_job.add" => event_job (job_id: Int, task_id: Int, set_id: Int), "";
    [hot] read SET_OF = "event_job.set", "SELECT m.job_id FROM event_job j JOIN event_job m ON m.set_id = j.set_id WHERE j.job_id = :job ORDER BY m.job_id LIMIT 1000";
    write UNDO_RANGES = "event_range.undo", "DELETE FROM event_range WHERE task_id = :task AND file_id IN (SELECT id FROM task_file WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged'))";
    write UNDO_FILES = "event_file.undo", "DELETE FROM event_file WHERE task_id = :task AND file_id IN (SELECT id FROM task_file WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged'))";
    write ATTEMPTS = "event_file.attempts", "UPDATE event_file SET max_attempt = max_attempt + :more WHERE task_id = :task AND file_id IN (SELECT id FROM task_file WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged'))";
    write RENEW = "event_range.renew", "UPDATE event_range SET state = 'ready', attempt = attempt + 1, at_us = :now WHERE task_id = :task AND state IN ('failed', 'fatal', 'cancelled', 'discarded', 'corrupted') AND file_id IN (SELECT id FROM task_file WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged'))";
    [hot] write DROP_JOBS = "event_job.drop", "DELETE FROM event_job WHERE task_id = :task";
    [hot] write DROP_RANGES = "event_range.drop", "DELETE FROM event_range WHERE task_id = :task";
    [hot] write DROP_FILES = "event_file.drop", "DELETE FROM event_file WHERE task_id = :task";
}

fn read(r: &Row) -> Result<Range, Error> {
    Ok(Range {
        id: r.int(0)?,
        file_id: r.int(1)?,
        task_id: TaskId(r.int(2)?),
        number: r.int(3)?,
        cut_for: JobId(r.int(4)?),
        job_id: JobId(r.int(5)?),
        first_event: r.int(6)?,
        last_event: r.int(7)?,
        state: code("state of an event range", r.text(8)?, RangeState::parse(r.text(8)?).ok())?,
        attempt: r.int(9)?,
        output: r.opt_text(10)?.map(str::to_owned),
        store_id: r.opt_int(11)?,
        error: r.opt_int(12)?,
        diag: r.opt_text(13)?.map(str::to_owned),
        at_us: r.int(14)?,
    })
}
/// Adds a file; one that is there stays as it is.
pub fn add_file(batch: &mut Batch, f: &EventFile) {
    batch.insert(
        &FILE_ADD,
        vec![
            f.file_id.into(),
            f.task_id.into(),
            f.slice.first.into(),
            f.slice.events.into(),
            f.slice.each.into(),
            f.n_cut.into(),
            f.max_attempt.into(),
        ],
    );
}
/// How these files (at most 1,000) are cut.
pub async fn files(store: &Store, ids: &[i64]) -> Result<Vec<EventFile>, Error> {
    store.fetch(&FILES, vec![("ids", ids.to_vec().into())]).await?.iter().map(read_file).collect()
}
/// How the files of a task are cut, above file `after`; at most `n` and 1,000.
pub async fn of_task(store: &Store, task: TaskId, after: i64, n: i64) -> Result<Vec<EventFile>, Error> {
    let binds = vec![("task", task.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&OF_TASK, binds).await?.iter().map(read_file).collect()
}
fn read_file(r: &Row) -> Result<EventFile, Error> {
    Ok(EventFile {
        file_id: r.int(0)?,
        task_id: TaskId(r.int(1)?),
        slice: Slice { first: r.int(2)?, events: r.int(3)?, each: r.int(4)? },
        n_cut: r.int(5)?,
        max_attempt: r.int(6)?,
    })
}
/// So many ranges of a file are cut now. A conflict when somebody else cut some.
pub fn cut(batch: &mut Batch, f: &EventFile, to: i64) {
    batch.guard(&CUT, vec![("to", to.into()), ("file", f.file_id.into()), ("was", f.n_cut.into())], 1);
}
/// Adds a range.
pub fn add(batch: &mut Batch, r: &Range) {
    batch.insert(
        &ADD,
        vec![
            r.id.into(),
            r.file_id.into(),
            r.task_id.into(),
            r.number.into(),
            r.cut_for.into(),
            r.job_id.into(),
            r.first_event.into(),
            r.last_event.into(),
            r.state.as_str().into(),
            r.attempt.into(),
            r.output.as_deref().into(),
            r.store_id.into(),
            r.error.into(),
            r.diag.as_deref().into(),
            r.at_us.into(),
        ],
    );
}
/// Ranges of these files (at most 1,000) that nobody has; at most `n` and 1,000.
pub async fn ready(store: &Store, files: &[i64], n: i64) -> Result<Vec<Range>, Error> {
    let binds = vec![("files", files.to_vec().into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&READY, binds).await?.iter().map(read).collect()
}
/// Ranges of a file by number (at most 1,000).
pub async fn named(store: &Store, file: i64, numbers: &[i64]) -> Result<Vec<Range>, Error> {
    store.fetch(&NAMED, vec![("file", file.into()), ("numbers", numbers.to_vec().into())]).await?.iter().map(read).collect()
}
/// Ranges that a job has, or had last, above row `after`; at most `n` and 1,000.
pub async fn of_job(store: &Store, job: JobId, after: i64, n: i64) -> Result<Vec<Range>, Error> {
    let binds = vec![("job", job.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&OF_JOB, binds).await?.iter().map(read).collect()
}
/// Ranges of these files (at most 1,000) by file, state and job.
pub async fn count(store: &Store, files: &[i64]) -> Result<Vec<(i64, RangeState, JobId, i64)>, Error> {
    let rows = store.fetch(&COUNT, vec![("files", files.to_vec().into())]).await?;
    let state = |r: &Row| code("state of an event range", r.text(1)?, RangeState::parse(r.text(1)?).ok());
    rows.iter().map(|r| Ok((r.int(0)?, state(r)?, JobId(r.int(2)?), r.int(3)?))).collect()
}
/// Ranges of a task that were cut, by state.
pub async fn count_task(store: &Store, task: TaskId) -> Result<Vec<(RangeState, i64)>, Error> {
    let rows = store.fetch(&COUNT_TASK, vec![("task", task.into())]).await?;
    let state = |r: &Row| code("state of an event range", r.text(0)?, RangeState::parse(r.text(0)?).ok());
    rows.iter().map(|r| Ok((state(r)?, r.int(1)?))).collect()
}
/// Gives ranges (at most 1,000) to a job. A conflict when one is not ready any more.
pub fn hand(batch: &mut Batch, ids: &[i64], job: JobId, now_us: i64) {
    if !ids.is_empty() {
        batch.guard(&HAND, vec![("job", job.into()), ("now", now_us.into()), ("ids", ids.to_vec().into())], ids.len() as u64);
    }
}
/// Writes what became of a range. A conflict when it changed since it was read.
pub fn settle(batch: &mut Batch, before: &Range, after: &Range) {
    let binds = vec![
        ("state", after.state.as_str().into()),
        ("attempt", after.attempt.into()),
        ("output", after.output.as_deref().into()),
        ("store", after.store_id.into()),
        ("error", after.error.into()),
        ("diag", after.diag.as_deref().into()),
        ("now", after.at_us.into()),
        ("id", before.id.into()),
        ("from", before.state.as_str().into()),
        ("was", before.attempt.into()),
        ("job", before.job_id.into()),
    ];
    batch.guard(&SETTLE, binds, 1);
}
/// Takes what a job holds from it: others may try it, unless the attempts (`most`) are used up.
pub fn free(batch: &mut Batch, job: JobId, most: i64, now_us: i64) {
    batch.exec(&GIVE_UP, vec![("now", now_us.into()), ("job", job.into()), ("most", most.into())]);
    batch.exec(&FREE, vec![("now", now_us.into()), ("job", job.into())]);
}
/// Moves all ranges of these files (at most 1,000) that are in a state to another.
pub fn move_all(batch: &mut Batch, files: &[i64], from: RangeState, to: RangeState, now_us: i64) {
    let binds = vec![("to", to.as_str().into()), ("now", now_us.into()), ("files", files.to_vec().into()), ("from", from.as_str().into())];
    batch.exec(&MOVE, binds);
}
/// Files, each with its object store, that hold the output of done ranges of these files (at most 1,000); at most `n`.
pub async fn outputs(store: &Store, files: &[i64], n: i64) -> Result<Vec<(String, Option<i64>)>, Error> {
    let rows = store.fetch(&OUTPUTS, vec![("files", files.to_vec().into()), ("n", n.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.opt_int(1)?))).collect()
}
/// How many ranges a job had last that are done.
pub async fn done_by(store: &Store, job: JobId) -> Result<i64, Error> {
    store.fetch(&DONE_BY, vec![("job", job.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// How many ranges a job has in its hands.
pub async fn held_by(store: &Store, job: JobId) -> Result<i64, Error> {
    store.fetch(&HELD_BY, vec![("job", job.into())]).await?.first().map_or(Ok(0), |r| r.int(0))
}
/// Notes that a job shares the files of the first of its set.
pub fn add_job(batch: &mut Batch, job: JobId, task: TaskId, set: JobId) {
    batch.insert(&JOB_ADD, vec![job.into(), task.into(), set.into()]);
}
/// The jobs that share a job's files, itself included, the first of them first; none when it shares nothing.
pub async fn set_of(store: &Store, job: JobId) -> Result<Vec<JobId>, Error> {
    store.fetch(&SET_OF, vec![("job", job.into())]).await?.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// Forgets what was done of files of a data set that are to be tried again; they must not have been made ready yet.
pub fn undo(batch: &mut Batch, task: TaskId, dataset: i64) {
    batch.exec(&UNDO_RANGES, vec![("task", task.into()), ("dataset", dataset.into())]);
    batch.exec(&UNDO_FILES, vec![("task", task.into()), ("dataset", dataset.into())]);
}
/// Gives ranges of such files that were given up `more` attempts; what was done of them stays.
pub fn renew(batch: &mut Batch, task: TaskId, dataset: i64, more: i64, now_us: i64) {
    batch.exec(&ATTEMPTS, vec![("more", more.into()), ("task", task.into()), ("dataset", dataset.into())]);
    batch.exec(&RENEW, vec![("now", now_us.into()), ("task", task.into()), ("dataset", dataset.into())]);
}
/// Forgets the ranges of a task.
pub fn forget(batch: &mut Batch, task: TaskId) {
    batch.exec(&DROP_JOBS, vec![("task", task.into())]);
    batch.exec(&DROP_RANGES, vec![("task", task.into())]);
    batch.exec(&DROP_FILES, vec![("task", task.into())]);
}

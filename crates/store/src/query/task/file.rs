//! Input files of tasks: the unit of accounting.

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    policy::{retry::Attempts, split::take::Run},
};

use crate::{Batch, Error, Row, Store, query::code, statements};

/// A row of `task_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFile {
    /// Row id.
    pub id: i64,
    /// Its task.
    pub task_id: TaskId,
    /// Its data set.
    pub dataset_id: i64,
    /// Order within the data set, from 1.
    pub seq: i64,
    /// Name.
    pub lfn: String,
    /// Scope.
    pub scope: Option<String>,
    /// GUID.
    pub guid: Option<String>,
    /// Bytes.
    pub fsize: Option<i64>,
    /// `ad:` or `md5:` and hex digits.
    pub checksum: Option<String>,
    /// Events of this row.
    pub n_events: Option<i64>,
    /// First event of this row within its file, from 0.
    pub first_event: Option<i64>,
    /// Last event of this row within its file.
    pub last_event: Option<i64>,
    /// Where it lies.
    pub surl: Option<String>,
    /// State.
    pub state: FileState,
    /// Attempts made.
    pub attempt: i64,
    /// Attempts allowed.
    pub max_attempt: i64,
    /// Attempts that failed.
    pub failed: i64,
    /// The job in charge.
    pub job_id: Option<JobId>,
    /// Number of the file within the data set: rows of one file share it.
    pub file_no: i64,
    /// Failures allowed, when they are limited.
    pub max_failure: Option<i64>,
    /// Memory of its jobs, MB, when it needs more than its task says; 0 = as the task says.
    pub ram_mb: i64,
    /// Boundary: what may or must share a job.
    pub boundary: Option<i64>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
    /// The last job that was in charge and is not any more.
    pub prev_job: Option<JobId>,
    /// Events of all rows before it, when they are known.
    pub event_no: Option<i64>,
    /// Of a node of a DAG: dependencies that have not ended. None: it is no node.
    pub n_wait: Option<i64>,
    /// Of a node of a DAG that does not run: the node (`seq`) that is to blame.
    pub blame: Option<i64>,
}

impl TaskFile {
    /// Its attempts.
    #[must_use]
    pub const fn attempts(&self) -> Attempts {
        Attempts { attempt: self.attempt, max_attempt: self.max_attempt, failed: self.failed, max_failure: self.max_failure }
    }
    /// The `seq`-th file of a data set, ready, with no attempt made and one allowed.
    #[must_use]
    pub fn new(d: &super::dataset::TaskDataset, seq: i64, lfn: impl Into<String>) -> Self {
        Self {
            id: 0,
            task_id: d.task_id,
            dataset_id: d.id,
            seq,
            lfn: lfn.into(),
            scope: None,
            guid: None,
            fsize: None,
            checksum: None,
            n_events: None,
            first_event: None,
            last_event: None,
            surl: None,
            state: FileState::Ready,
            attempt: 0,
            max_attempt: 1,
            failed: 0,
            job_id: None,
            file_no: seq,
            max_failure: None,
            ram_mb: 0,
            boundary: None,
            lumiblock: None,
            prev_job: None,
            event_no: None,
            n_wait: None,
            blame: None,
        }
    }
}

/// The select list that [`read`] expects.
macro_rules! file_columns {
    () => {
        "id, task_id, dataset_id, seq, lfn, scope, guid, fsize, checksum, n_events, first_event, last_event, surl, state, attempt, max_attempt, failed, job_id, file_no, max_failure, ram_mb, boundary, lumiblock, prev_job, event_no, n_wait, blame"
    };
}
pub(crate) use file_columns;

statements! {
    insert ADD = "task_file.add" => task_file (id: Int, task_id: Int, dataset_id: Int, seq: Int, lfn: Text, scope: Text, guid: Text, fsize: Int, checksum: Text, n_events: Int, first_event: Int, last_event: Int, surl: Text, state: Text, attempt: Int, max_attempt: Int, failed: Int, job_id: Int, file_no: Int, max_failure: Int, ram_mb: Int, boundary: Int, lumiblock: Int, prev_job: Int, event_no: Int, n_wait: Int, blame: Int), "";
    [hot] read NEXT = "task_file.next", concat!("SELECT ", file_columns!(), " FROM task_file WHERE dataset_id = :dataset AND state = 'ready' AND seq > :after ORDER BY seq LIMIT :n");
    [hot] read MANY = "task_file.many", concat!("SELECT ", file_columns!(), " FROM task_file WHERE id IN (:ids*) ORDER BY dataset_id, seq LIMIT 1000");
    [hot] read OF_JOBS = "task_file.of_jobs", concat!("SELECT ", file_columns!(), " FROM task_file WHERE job_id IN (:ids*) ORDER BY job_id, dataset_id, seq LIMIT 20000");
    [hot] read PAGE = "task_file.page", concat!("SELECT ", file_columns!(), " FROM task_file WHERE dataset_id = :dataset AND seq > :after ORDER BY seq LIMIT :n");
    [hot] read NAMES = "task_file.names", "SELECT seq, id, lfn, state, first_event, last_event FROM task_file WHERE dataset_id = :dataset AND seq > :after ORDER BY seq LIMIT :n";
    [hot] read COUNT = "task_file.count", "SELECT state, COUNT(*) FROM task_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
    read TOTALS = "task_file.totals", "SELECT state, COUNT(*), SUM(n_events) FROM task_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
    [hot] write TAKE = "task_file.take", "UPDATE task_file SET state = 'running', job_id = :job + (seq - :first) / :each WHERE dataset_id = :dataset AND seq >= :first AND seq <= :last AND state = 'ready'",
        mysql: "UPDATE task_file SET state = 'running', job_id = :job + (seq - :first) DIV :each WHERE dataset_id = :dataset AND seq >= :first AND seq <= :last AND state = 'ready'";
    [hot] write MOVE = "task_file.move", "UPDATE task_file SET state = :state WHERE id IN (:ids*) AND state = :from";
    [hot] read FAILURES = "task_file.failures", "SELECT COUNT(*), COALESCE(SUM(failed), 0) FROM task_file WHERE dataset_id = :dataset AND state IN ('ready', 'running') LIMIT 1";
    read MOST_ATTEMPTS = "task_file.most_attempts", "SELECT MAX(attempt) FROM task_file WHERE dataset_id = :dataset LIMIT 1";
    [hot] write SETTLE = "task_file.settle", "UPDATE task_file SET state = :state, attempt = :attempt, failed = :failed, max_attempt = :max, max_failure = :maxf WHERE id IN (:ids*) AND job_id = :job AND attempt = :was AND state = 'running'";
    [hot] write RELEASE = "task_file.release", "UPDATE task_file SET state = 'ready', attempt = :attempt, failed = :failed, max_attempt = :max, max_failure = :maxf, job_id = NULL, prev_job = :job WHERE id IN (:ids*) AND job_id = :job AND attempt = :was AND state = 'running'";
    [hot] write HAND_OVER = "task_file.hand_over", "UPDATE task_file SET job_id = :to WHERE id IN (:ids*) AND job_id = :from AND state = 'running'";
    [hot] write RAISE = "task_file.raise", "UPDATE task_file SET ram_mb = :ram WHERE id IN (:ids*) AND ram_mb < :ram";
    [hot] read RAISED = "task_file.raised", "SELECT COUNT(*) FROM task_file WHERE dataset_id = :dataset AND ram_mb > 0 AND ram_mb > :ram LIMIT 1";
    [hot] write REVIVE = "task_file.revive", "UPDATE task_file SET state = 'ready', max_attempt = attempt + :more, max_failure = CASE WHEN max_failure IS NULL THEN NULL ELSE failed + :more END WHERE dataset_id = :dataset AND state IN ('failed', 'cancelled', 'skipped', 'notmerged')";
    [hot] write RESTART = "task_file.restart", "UPDATE task_file SET state = 'ready' WHERE dataset_id = :dataset AND state = 'failed'";
    [hot] write MORE = "task_file.more_attempts", "UPDATE task_file SET max_attempt = max_attempt + :more WHERE dataset_id = :dataset AND state IN ('ready', 'running', 'failed', 'cancelled', 'skipped', 'notmerged')";
    [hot] write STOP = "task_file.stop", "UPDATE task_file SET state = 'cancelled' WHERE dataset_id = :dataset AND state = 'ready'";
}

pub(crate) fn read(r: &Row) -> Result<TaskFile, Error> {
    let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
    Ok(TaskFile {
        id: r.int(0)?,
        task_id: TaskId(r.int(1)?),
        dataset_id: r.int(2)?,
        seq: r.int(3)?,
        lfn: r.text(4)?.to_owned(),
        scope: text(5)?,
        guid: text(6)?,
        fsize: r.opt_int(7)?,
        checksum: text(8)?,
        n_events: r.opt_int(9)?,
        first_event: r.opt_int(10)?,
        last_event: r.opt_int(11)?,
        surl: text(12)?,
        state: code("file state", r.text(13)?, FileState::parse(r.text(13)?).ok())?,
        attempt: r.int(14)?,
        max_attempt: r.int(15)?,
        failed: r.int(16)?,
        job_id: r.opt_int(17)?.map(JobId),
        file_no: r.int(18)?,
        max_failure: r.opt_int(19)?,
        ram_mb: r.int(20)?,
        boundary: r.opt_int(21)?,
        lumiblock: r.opt_int(22)?,
        prev_job: r.opt_int(23)?.map(JobId),
        event_no: r.opt_int(24)?,
        n_wait: r.opt_int(25)?,
        blame: r.opt_int(26)?,
    })
}
/// Adds a file.
pub fn add(batch: &mut Batch, f: &TaskFile) {
    batch.insert(
        &ADD,
        vec![
            f.id.into(),
            f.task_id.into(),
            f.dataset_id.into(),
            f.seq.into(),
            (&f.lfn).into(),
            f.scope.as_deref().into(),
            f.guid.as_deref().into(),
            f.fsize.into(),
            f.checksum.as_deref().into(),
            f.n_events.into(),
            f.first_event.into(),
            f.last_event.into(),
            f.surl.as_deref().into(),
            f.state.as_str().into(),
            f.attempt.into(),
            f.max_attempt.into(),
            f.failed.into(),
            f.job_id.into(),
            f.file_no.into(),
            f.max_failure.into(),
            f.ram_mb.into(),
            f.boundary.into(),
            f.lumiblock.into(),
            f.prev_job.into(),
            f.event_no.into(),
            f.n_wait.into(),
            f.blame.into(),
        ],
    );
}
/// Ready files of a data set with `seq` above `after`, in order; at most `n` and 1,000.
pub async fn ready(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<TaskFile>, Error> {
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&NEXT, binds).await?.iter().map(read).collect()
}
/// Files by their rows (at most 1,000).
pub async fn many(store: &Store, ids: &[i64]) -> Result<Vec<TaskFile>, Error> {
    store.fetch(&MANY, vec![("ids", ids.to_vec().into())]).await?.iter().map(read).collect()
}
/// Files that these jobs (at most 1,000) are in charge of, by job; at most 20,000.
pub async fn of_jobs(store: &Store, jobs: &[JobId]) -> Result<Vec<TaskFile>, Error> {
    let ids: Vec<i64> = jobs.iter().map(|j| j.0).collect();
    store.fetch(&OF_JOBS, vec![("ids", ids.into())]).await?.iter().map(read).collect()
}
/// Files of a data set with `seq` above `after`, in order; at most `n` and 1,000.
pub async fn page(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<TaskFile>, Error> {
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&PAGE, binds).await?.iter().map(read).collect()
}
/// Puts another job in charge of files (at most 1,000). A conflict when one is in other hands.
pub fn hand_over(batch: &mut Batch, ids: &[i64], from: JobId, to: JobId) {
    let binds = vec![("to", to.into()), ("ids", ids.to_vec().into()), ("from", from.into())];
    batch.guard(&HAND_OVER, binds, ids.len() as u64);
}
/// Files of a data set by state.
pub async fn count(store: &Store, dataset: i64) -> Result<Vec<(String, i64)>, Error> {
    let rows = store.fetch(&COUNT, vec![("dataset", dataset.into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}
/// Files and events of a data set by state.
pub async fn totals(store: &Store, dataset: i64) -> Result<Vec<(FileState, i64, i64)>, Error> {
    let rows = store.fetch(&TOTALS, vec![("dataset", dataset.into())]).await?;
    let one = |r: &Row| {
        let state = code("file state", r.text(0)?, FileState::parse(r.text(0)?).ok())?;
        Ok((state, r.int(1)?, crate::query::sum(r, 2)?))
    };
    rows.iter().map(one).collect()
}
/// Name of a row, with what is needed to move it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Order within the data set.
    pub seq: i64,
    /// Row id.
    pub id: i64,
    /// Name of the file.
    pub lfn: String,
    /// State.
    pub state: FileState,
    /// First event, when the file is cut.
    pub first_event: Option<i64>,
    /// Last event, likewise.
    pub last_event: Option<i64>,
}
/// Names of a data set's files with `seq` above `after`, in order; at most `n` and 10,000.
pub async fn names(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<Name>, Error> {
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(10_000).into())];
    let rows = store.fetch(&NAMES, binds).await?;
    rows.iter().map(read_name).collect()
}
pub(crate) fn read_name(r: &Row) -> Result<Name, Error> {
    let state = code("file state", r.text(3)?, FileState::parse(r.text(3)?).ok())?;
    let lfn = r.text(2)?.to_owned();
    Ok(Name { seq: r.int(0)?, id: r.int(1)?, lfn, state, first_event: r.opt_int(4)?, last_event: r.opt_int(5)? })
}
/// Gives the ready files of a range to the jobs of that range; a conflict when one is not ready.
pub fn take(batch: &mut Batch, dataset: i64, run: &Run) {
    let binds = vec![
        ("job", run.job.into()),
        ("first", run.first.into()),
        ("each", run.each.into()),
        ("dataset", dataset.into()),
        ("last", run.last.into()),
    ];
    batch.guard(&TAKE, binds, u64::try_from(run.rows()).unwrap_or(u64::MAX));
}
/// Moves files (at most 1,000) that are all in `from`, for a reason that is no attempt.
pub fn move_all(batch: &mut Batch, ids: &[i64], from: FileState, to: FileState) {
    if !ids.is_empty() {
        let binds = vec![("state", to.as_str().into()), ("ids", ids.to_vec().into()), ("from", from.as_str().into())];
        batch.guard(&MOVE, binds, ids.len() as u64);
    }
}
/// Settles files (at most 1,000) of an ended job that had the same attempts `was` and get the same `now`. [`FileState::Ready`] takes them out of
/// the job's hands; with any other state it stays the last one in charge. A conflict when one is not this job's on this attempt any more.
pub fn settle(batch: &mut Batch, ids: &[i64], job: JobId, was: Attempts, to: FileState, now: Attempts) {
    if ids.is_empty() {
        return;
    }
    let mut binds = vec![
        ("attempt", now.attempt.into()),
        ("failed", now.failed.into()),
        ("max", now.max_attempt.into()),
        ("maxf", now.max_failure.into()),
        ("ids", ids.to_vec().into()),
        ("job", job.into()),
        ("was", was.attempt.into()),
    ];
    if to == FileState::Ready {
        batch.guard(&RELEASE, binds, ids.len() as u64);
    } else {
        binds.push(("state", to.as_str().into()));
        batch.guard(&SETTLE, binds, ids.len() as u64);
    }
}
/// Gives the jobs of these files (at most 1,000) more memory, MB in the task's unit; files that have more already keep it.
pub fn raise(batch: &mut Batch, ids: &[i64], ram_mb: i64) {
    if !ids.is_empty() {
        batch.exec(&RAISE, vec![("ram", ram_mb.into()), ("ids", ids.to_vec().into())]);
    }
}
/// Files of a data set that need more memory than this.
pub async fn raised(store: &Store, dataset: i64, ram_mb: i64) -> Result<i64, Error> {
    let rows = store.fetch(&RAISED, vec![("dataset", dataset.into()), ("ram", ram_mb.into())]).await?;
    rows.first().map_or(Ok(0), |r| r.int(0))
}
/// Files of a data set that have not ended, and how often they failed altogether.
pub async fn failures(store: &Store, dataset: i64) -> Result<(i64, i64), Error> {
    store.fetch(&FAILURES, vec![("dataset", dataset.into())]).await?.first().map_or(Ok((0, 0)), |r| Ok((r.int(0)?, r.int(1)?)))
}
/// Most attempts that a file of a data set has behind it.
pub async fn most_attempts(store: &Store, dataset: i64) -> Result<i64, Error> {
    store.fetch(&MOST_ATTEMPTS, vec![("dataset", dataset.into())]).await?.first().map_or(Ok(0), |r| Ok(r.opt_int(0)?.unwrap_or(0)))
}
/// Makes failed and cancelled files of a data set ready again with `more` further attempts, and as many failures where these are limited; counters are corrected by the caller, who holds
/// the task's lease and has counted them before.
pub fn revive(batch: &mut Batch, dataset: i64, more: i64, expected: u64) {
    batch.guard(&REVIVE, vec![("more", more.into()), ("dataset", dataset.into())], expected);
}
/// Makes the failed files of a data set ready again with the attempts that they have; the caller corrects the counters.
pub fn restart(batch: &mut Batch, dataset: i64, expected: u64) {
    batch.guard(&RESTART, vec![("dataset", dataset.into())], expected);
}
/// Allows `more` attempts for the unfinished files of a data set.
pub fn more_attempts(batch: &mut Batch, dataset: i64, more: i64) {
    batch.exec(&MORE, vec![("more", more.into()), ("dataset", dataset.into())]);
}
/// Cancels the ready files of a data set: no further job takes them.
pub fn stop(batch: &mut Batch, dataset: i64, expected: u64) {
    batch.guard(&STOP, vec![("dataset", dataset.into())], expected);
}

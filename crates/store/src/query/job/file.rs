//! Files of jobs: outputs, logs, libraries; inputs only of jobs without a task.

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, TaskId},
    job::state::JobState,
};

use crate::{Batch, Error, Row, Store, query::code, statements};

/// A row of `job_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFile {
    /// Row id.
    pub id: i64,
    /// The job that makes (or reads) it.
    pub job_id: JobId,
    /// Its task.
    pub task_id: Option<TaskId>,
    /// The task's data set it belongs to.
    pub dataset_id: Option<i64>,
    /// Role.
    pub role: FileRole,
    /// Order within the job.
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
    /// Where it lies.
    pub surl: Option<String>,
    /// Number of events.
    pub n_events: Option<i64>,
    /// State.
    pub state: FileState,
    /// Whether the job may end well without it (`allowNoOutput`).
    pub optional: bool,
    /// Merges of it that failed.
    pub attempt: i64,
    /// The merge job that takes it in.
    pub used_by: Option<JobId>,
}

/// The select list that [`read`] expects.
macro_rules! job_file_columns {
    () => {
        "id, job_id, task_id, dataset_id, role, seq, lfn, scope, guid, fsize, checksum, surl, n_events, state, optional, attempt, used_by"
    };
}
pub(crate) use job_file_columns;

statements! {
    insert ADD = "job_file.add" => job_file (id: Int, job_id: Int, task_id: Int, dataset_id: Int, role: Text, seq: Int, lfn: Text, scope: Text, guid: Text, fsize: Int, checksum: Text, surl: Text, n_events: Int, state: Text, optional: Int, attempt: Int, used_by: Int), "";
    [hot] read OF_JOBS = "job_file.of_jobs", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE job_id IN (:ids*) ORDER BY job_id, seq LIMIT 20000");
    [hot] read OF_DATASET = "job_file.of_dataset", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE dataset_id = :dataset AND state IN (:states*) AND id > :after ORDER BY id LIMIT :n");
    [hot] read GET = "job_file.get", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE id = :id LIMIT 1");
    [hot] read BY_LFN = "job_file.by_lfn", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE dataset_id = :dataset AND lfn = :lfn ORDER BY id DESC LIMIT 1");
    // Merge jobs that have something to merge.
    [hot] read FED = "job_file.fed", "SELECT DISTINCT f.used_by FROM job_file f JOIN job j ON j.id = f.job_id WHERE f.used_by IN (:ids*) AND j.state = 'merging' ORDER BY f.used_by LIMIT 1000";
    [hot] read USED_BY = "job_file.used_by", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE used_by = :job ORDER BY id LIMIT 20000");
    [hot] read FREE_OF = "job_file.free_of", concat!("SELECT ", job_file_columns!(), " FROM job_file WHERE dataset_id = :dataset AND state = 'ready' AND used_by IS NULL ORDER BY job_id, id LIMIT :n");
    [hot] read COUNT = "job_file.count", "SELECT state, COUNT(*), SUM(fsize) FROM job_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
    read TOTALS = "job_file.totals", "SELECT f.state, j.state, COUNT(*), SUM(f.n_events) FROM job_file f JOIN job j ON j.id = f.job_id WHERE f.dataset_id = :dataset GROUP BY f.state, j.state ORDER BY f.state, j.state LIMIT 1000";
    [hot] write SETTLE = "job_file.settle", "UPDATE job_file SET state = :state, guid = :guid, fsize = :fsize, checksum = :checksum, surl = :surl, n_events = :events WHERE id = :id AND state = :from";
    [hot] write MOVE = "job_file.move", "UPDATE job_file SET state = :state WHERE id IN (:ids*) AND state = :from";
    [hot] write USE = "job_file.use", "UPDATE job_file SET used_by = :job WHERE id IN (:ids*) AND used_by IS NULL AND state = 'ready'";
    [hot] write FREE = "job_file.free", "UPDATE job_file SET used_by = NULL, attempt = attempt + :spent WHERE used_by = :job";
}

pub(crate) fn read(r: &Row) -> Result<JobFile, Error> {
    let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
    Ok(JobFile {
        id: r.int(0)?,
        job_id: JobId(r.int(1)?),
        task_id: r.opt_int(2)?.map(TaskId),
        dataset_id: r.opt_int(3)?,
        role: code("file role", r.text(4)?, FileRole::parse(r.text(4)?).ok())?,
        seq: r.int(5)?,
        lfn: r.text(6)?.to_owned(),
        scope: text(7)?,
        guid: text(8)?,
        fsize: r.opt_int(9)?,
        checksum: text(10)?,
        surl: text(11)?,
        n_events: r.opt_int(12)?,
        state: code("file state", r.text(13)?, FileState::parse(r.text(13)?).ok())?,
        optional: r.int(14)? != 0,
        attempt: r.int(15)?,
        used_by: r.opt_int(16)?.map(JobId),
    })
}
/// Adds a file.
pub fn add(batch: &mut Batch, f: &JobFile) {
    batch.insert(
        &ADD,
        vec![
            f.id.into(),
            f.job_id.into(),
            f.task_id.into(),
            f.dataset_id.into(),
            f.role.as_str().into(),
            f.seq.into(),
            (&f.lfn).into(),
            f.scope.as_deref().into(),
            f.guid.as_deref().into(),
            f.fsize.into(),
            f.checksum.as_deref().into(),
            f.surl.as_deref().into(),
            f.n_events.into(),
            f.state.as_str().into(),
            f.optional.into(),
            f.attempt.into(),
            f.used_by.into(),
        ],
    );
}
/// Files of these jobs (at most 1,000 jobs), by job and order; at most 20,000.
pub async fn of_jobs(store: &Store, jobs: &[JobId]) -> Result<Vec<JobFile>, Error> {
    let ids: Vec<i64> = jobs.iter().map(|id| id.0).collect();
    store.fetch(&OF_JOBS, vec![("ids", ids.into())]).await?.iter().map(read).collect()
}
/// Files of a task's data set in these states with an id above `after`; at most `n` and 1,000.
pub async fn of_dataset(store: &Store, dataset: i64, states: &[FileState], after: i64, n: i64) -> Result<Vec<JobFile>, Error> {
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds =
        vec![("dataset", dataset.into()), ("states", states.into()), ("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&OF_DATASET, binds).await?.iter().map(read).collect()
}
/// Those of these merge jobs (at most 1,000) that took in files of jobs that still wait for their merge.
pub async fn with_sources(store: &Store, merges: &[JobId]) -> Result<Vec<JobId>, Error> {
    if merges.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = merges.iter().map(|id| id.0).collect();
    store.fetch(&FED, vec![("ids", ids.into())]).await?.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// One file.
pub async fn get(store: &Store, id: i64) -> Result<Option<JobFile>, Error> {
    store.fetch(&GET, vec![("id", id.into())]).await?.first().map(read).transpose()
}
/// The newest file of this name in a task's data set.
pub async fn by_lfn(store: &Store, dataset: i64, lfn: &str) -> Result<Option<JobFile>, Error> {
    store.fetch(&BY_LFN, vec![("dataset", dataset.into()), ("lfn", lfn.into())]).await?.first().map(read).transpose()
}
/// Pre-merge files that a merge job takes in.
pub async fn used_by(store: &Store, job: JobId) -> Result<Vec<JobFile>, Error> {
    store.fetch(&USED_BY, vec![("job", job.into())]).await?.iter().map(read).collect()
}
/// Pre-merge files of a data set that no merge job takes in, by job; at most `n` and 1,000.
pub async fn free_of(store: &Store, dataset: i64, n: i64) -> Result<Vec<JobFile>, Error> {
    let binds = vec![("dataset", dataset.into()), ("n", n.min(crate::query::MAX_PAGE).into())];
    store.fetch(&FREE_OF, binds).await?.iter().map(read).collect()
}
/// Files and bytes of a data set by state.
pub async fn count(store: &Store, dataset: i64) -> Result<Vec<(String, i64, i64)>, Error> {
    let rows = store.fetch(&COUNT, vec![("dataset", dataset.into())]).await?;
    rows.iter().map(read_count).collect()
}
pub(crate) fn read_count(r: &Row) -> Result<(String, i64, i64), Error> {
    Ok((r.text(0)?.to_owned(), r.int(1)?, crate::query::sum(r, 2)?))
}
/// Files of a data set that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Their state.
    pub state: FileState,
    /// Whether their jobs are transferring.
    pub transferring: bool,
    /// How many.
    pub files: i64,
    /// Events in them.
    pub events: i64,
}
/// Files and events of a data set by the file's and its job's state; see `archive::job::file_totals` for all of them.
pub async fn totals(store: &Store, dataset: i64) -> Result<Vec<Total>, Error> {
    let rows = store.fetch(&TOTALS, vec![("dataset", dataset.into())]).await?;
    let one = |r: &Row| {
        let state = code("file state", r.text(0)?, FileState::parse(r.text(0)?).ok())?;
        let job = code("job state", r.text(1)?, JobState::parse(r.text(1)?).ok())?;
        Ok(Total { state, transferring: job == JobState::Transferring, files: r.int(2)?, events: crate::query::sum(r, 3)? })
    };
    rows.iter().map(one).collect()
}
/// Writes what was reported of a file that is still in state `from`.
pub fn settle(batch: &mut Batch, from: FileState, f: &JobFile) {
    batch.guard(
        &SETTLE,
        vec![
            ("state", f.state.as_str().into()),
            ("guid", f.guid.as_deref().into()),
            ("fsize", f.fsize.into()),
            ("checksum", f.checksum.as_deref().into()),
            ("surl", f.surl.as_deref().into()),
            ("events", f.n_events.into()),
            ("id", f.id.into()),
            ("from", from.as_str().into()),
        ],
        1,
    );
}
/// Moves files (at most 1,000) that are all in state `from`.
pub fn move_all(batch: &mut Batch, ids: &[i64], from: FileState, to: FileState) {
    if !ids.is_empty() {
        let binds = vec![("state", to.as_str().into()), ("ids", ids.to_vec().into()), ("from", from.as_str().into())];
        batch.guard(&MOVE, binds, ids.len() as u64);
    }
}
/// Gives ready pre-merge files (at most 1,000) to a merge job; a conflict when one is taken.
pub fn use_by(batch: &mut Batch, ids: &[i64], job: JobId) {
    batch.guard(&USE, vec![("job", job.into()), ("ids", ids.to_vec().into())], ids.len() as u64);
}
/// Takes all files back from a merge job, adding `spent` attempts each.
pub fn free(batch: &mut Batch, job: JobId, spent: i64) {
    batch.exec(&FREE, vec![("spent", spent.into()), ("job", job.into())]);
}

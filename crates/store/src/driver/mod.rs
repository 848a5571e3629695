//! Ways of executing statements on each backend: single, combined, coalesced, bulk. The only place that names driver crates.

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod beats;
mod commons;
#[cfg(all(test, feature = "postgres", feature = "mysql"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(crate) mod inspect;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod lanes;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod retry;
mod scan;
mod sqlite;
mod url;

use std::{ops::Range, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use panda_core::id::{JobId, LaneId, TaskId};

pub(crate) use self::url::redact;
use self::url::{Url, parse};
use crate::{
    batch::{Batch, Binds, Expect, MAX_BATCH_ROWS, Op},
    error::{Error, OpenError},
    stmt::{Dialect, Stmt},
    store::IdKind,
    value::Row,
    wake::Wake,
};

/// Longest read; longer ones are stopped, since they keep old row versions and the log alive (DECISIONS "Dispatch").
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(5);

/// A batch that cannot be cut (one job with very many files) may be larger than [`MAX_BATCH_ROWS`] by this factor.
const HARD_LIMIT: usize = 10;

/// What a pilot asks for. Lanes are tried in the given order; the other limits filter rows within a lane (0 or None = no limit).
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// Lanes in the order of preference, all of one queue.
    pub lanes: Vec<LaneId>,
    /// How many jobs, at least 1.
    pub n: u32,
    /// Only jobs that need at most this memory, MB.
    pub max_ram_mb: Option<i64>,
    /// Only jobs that need at most this disk, MB.
    pub max_disk_mb: Option<i64>,
    /// Only jobs that run at most this long, seconds.
    pub max_walltime_s: Option<i64>,
    /// Only jobs of this person (row id).
    pub person_id: Option<i64>,
    /// Only jobs of this task.
    pub task_id: Option<TaskId>,
    /// Only of these jobs, which stand in the first lane; empty = any. The caller has looked at person and task.
    pub ids: Vec<i64>,
    /// The node that asks.
    pub host: Option<String>,
    /// Microseconds UTC.
    pub now_us: i64,
}

/// A job handed to a pilot.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The job.
    pub job_id: JobId,
    /// Its task, if any.
    pub task_id: Option<TaskId>,
    /// The lane it was taken from.
    pub lane_id: LaneId,
    /// Attempt number, from 0.
    pub attempt: i64,
    /// Priority (larger runs first).
    pub priority: i64,
    /// Owner's row id.
    pub person_id: i64,
    /// Whether debug mode is on.
    pub debug: bool,
    /// Cores of the job.
    pub cores: i64,
    /// Fragment of the JSON job dictionary shared by the task's jobs: `"k":v,"k":v` without braces.
    pub common: Arc<str>,
    /// The job's own fragment, likewise.
    pub doc: String,
}

/// A heartbeat that changes nothing but `job_live`: applied if the job is in `state` with `attempt`.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The job.
    pub job_id: JobId,
    /// The pilot's attempt number; None when it sent none.
    pub attempt: Option<i64>,
    /// State that the pilot reports (`running`, `starting`, …), as the database code.
    pub state: &'static str,
    /// Metrics as a JSON object text, if any.
    pub doc: Option<String>,
    /// Microseconds UTC.
    pub now_us: i64,
}

/// Answer to a [`Beat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeatAnswer {
    /// Recorded; the pending command, if any, and whether debug mode is on.
    Recorded {
        /// `job.command`.
        command: Option<String>,
        /// `job.debug`.
        debug: bool,
    },
    /// The job is in another state or attempt, or unknown: not a pure heartbeat, take the slow way.
    Differs,
}

/// One backend.
pub trait Driver: Send + Sync {
    /// Which one.
    fn dialect(&self) -> Dialect;
    /// Runs one SELECT.
    fn fetch(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>>;
    /// Applies a batch.
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>>;
    /// Reserves `n` ids.
    fn id_block(&self, kind: IdKind, n: i64) -> BoxFuture<'_, Result<Range<i64>, Error>>;
    /// Claims jobs.
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<Claimed>, Error>>;
    /// Records a heartbeat.
    fn beat(&self, beat: Beat) -> BoxFuture<'_, Result<BeatAnswer, Error>>;
    /// Microseconds UTC by the backend's clock.
    fn clock(&self) -> BoxFuture<'_, Result<i64, Error>>;
    /// Number of schema steps applied.
    fn schema_found(&self) -> BoxFuture<'_, Result<usize, Error>>;
    /// Flushes and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Refuses what no backend could apply the same way.
fn check(batch: &Batch) -> Result<(), Error> {
    if batch.len() > MAX_BATCH_ROWS * HARD_LIMIT {
        return Err(Error::Decode(format!("a batch of {} rows; cut it at {MAX_BATCH_ROWS}", batch.len())));
    }
    if batch.len() > MAX_BATCH_ROWS {
        tracing::warn!(rows = batch.len(), first = batch.ops.first().map(|op| op.stmt().name), "a batch is larger than it should be");
    }
    for op in &batch.ops {
        match op {
            Op::Exec { stmt, expect: Expect::Rows(_), .. } if stmt.sql.contains("{skip_dup") => {
                return Err(Error::Decode(format!(
                    "statement {}: a guard on skipped duplicates means different things on different backends",
                    stmt.name
                )));
            }
            Op::Insert { stmt, rows } if rows.iter().any(|r| r.len() != stmt.columns.len()) => {
                return Err(Error::Decode(format!("statement {}: a row has not {} values", stmt.name, stmt.columns.len())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens the backend that `url` names, checks its schema and, with `migrate`, applies missing steps.
pub async fn open(url: &str, migrate: bool, wake: Wake) -> Result<Arc<dyn Driver>, OpenError> {
    let shown = redact(url);
    match parse(url)? {
        Url::Sqlite(path) => Ok(Arc::new(sqlite::open(&shown, &path, migrate, wake).await?)),
        #[cfg(feature = "postgres")]
        Url::Postgres(target) => Ok(Arc::new(postgres::open(&shown, &target, migrate, wake).await?)),
        #[cfg(feature = "mysql")]
        Url::Mysql(target) => Ok(Arc::new(mysql::open(&shown, &target, migrate, wake).await?)),
        #[allow(unreachable_patterns, reason = "a backend that is not built in")]
        Url::Postgres(_) | Url::Mysql(_) => Err(OpenError::Url { url: shown, problem: "this backend is not built in".into() }),
    }
}

/// Opens an SQLite file for a simulation; see [`Store::scratch`](crate::Store::scratch).
pub async fn scratch(path: &std::path::Path, wake: Wake) -> Result<Arc<dyn Driver>, OpenError> {
    Ok(Arc::new(sqlite::scratch(path, wake).await?))
}

/// The DDL statements that opening `url` with migration would apply; changes nothing.
///
/// # Errors
/// As [`Store::open`](crate::Store::open), but for an older schema.
pub async fn migration_plan(url: &str) -> Result<Vec<String>, OpenError> {
    let shown = redact(url);
    match parse(url)? {
        Url::Sqlite(path) => sqlite::plan(&shown, &path).await,
        #[cfg(feature = "postgres")]
        Url::Postgres(target) => postgres::plan(&shown, &target).await,
        #[cfg(feature = "mysql")]
        Url::Mysql(target) => mysql::plan(&shown, &target).await,
        #[allow(unreachable_patterns, reason = "a backend that is not built in")]
        Url::Postgres(_) | Url::Mysql(_) => Err(OpenError::Url { url: shown, problem: "this backend is not built in".into() }),
    }
}

/// Runs statements on a server, outside any schema of ours.
#[cfg(any(test, feature = "testing"))]
pub(crate) async fn admin(server: &str, statements: &[String]) -> Result<(), OpenError> {
    let shown = redact(server);
    match parse(server)? {
        Url::Sqlite(path) => sqlite::admin(&shown, &path, statements),
        #[cfg(feature = "postgres")]
        Url::Postgres(target) => postgres::admin(&shown, &target, statements).await,
        #[cfg(feature = "mysql")]
        Url::Mysql(target) => mysql::admin(&shown, &target, statements).await,
        #[allow(unreachable_patterns, reason = "a backend that is not built in")]
        Url::Postgres(_) | Url::Mysql(_) => Err(OpenError::Url { url: shown, problem: "this backend is not built in".into() }),
    }
}

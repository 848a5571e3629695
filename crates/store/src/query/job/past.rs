//! What the ended jobs of a task came to, at hand and in the archive: what a retry of the task is decided on.

use panda_core::{
    id::{JobId, QueueId, TaskId},
    job::{record::JobKind, state::JobState},
};

use crate::{
    Error, Row, Store,
    query::{MAX_PAGE, code, sum},
    statements,
};

statements! {
    // Asked by a retry, and only where a site limits retries: reads the ended jobs of one task.
    read ENDED = "job.past_ended", "SELECT p.state, p.queue_id, SUM(p.jobs), SUM(p.core_s) FROM (SELECT state, queue_id, COUNT(*) AS jobs, SUM((ended_us - started_us) / 1000000 * core_count) AS core_s FROM job WHERE task_id = :task AND state IN ('finished', 'failed') GROUP BY state, queue_id UNION ALL SELECT state, queue_id, COUNT(*) AS jobs, SUM((ended_us - started_us) / 1000000 * core_count) AS core_s FROM job_archive WHERE task_id = :task AND state IN ('finished', 'failed') GROUP BY state, queue_id) p GROUP BY p.state, p.queue_id ORDER BY p.state LIMIT 10000";
    read SAMPLE = "job.past_sample", "SELECT j.core_count, j.started_us, j.ended_us, e.doc FROM job j JOIN job_end e ON e.job_id = j.id WHERE j.task_id = :task AND j.state = 'finished' AND j.started_us IS NOT NULL AND j.ended_us IS NOT NULL AND e.doc IS NOT NULL ORDER BY j.id DESC LIMIT :n";
    // Asked when a task is measured: once or thrice in its life.
    read MEASURED = "job.past_measured", "SELECT j.id, j.core_count, j.queue_id, j.started_us, j.ended_us, e.doc FROM job j JOIN job_end e ON e.job_id = j.id WHERE j.task_id = :task AND j.kind = :kind AND j.state IN ('finished', 'merging') AND j.started_us IS NOT NULL AND j.ended_us IS NOT NULL AND e.doc IS NOT NULL ORDER BY j.id DESC LIMIT :n";
    read LIBRARY = "job.past_library", "SELECT MAX(f.fsize) FROM job j JOIN job_file f ON f.job_id = j.id WHERE j.task_id = :task AND j.kind = 'build' AND f.role = 'lib' LIMIT 1";
    read COLD_SAMPLE = "job_archive.past_sample", "SELECT j.core_count, j.started_us, j.ended_us, e.doc FROM job_archive j JOIN job_archive_end e ON e.job_id = j.id WHERE j.task_id = :task AND j.state = 'finished' AND j.started_us IS NOT NULL AND j.ended_us IS NOT NULL AND e.doc IS NOT NULL ORDER BY j.id DESC LIMIT :n";
}

/// Ended jobs of a task in one state at one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `finished` or `failed`.
    pub state: JobState,
    /// Their queue, if they had one.
    pub queue_id: Option<QueueId>,
    /// How many.
    pub jobs: i64,
    /// Seconds that they ran times their cores, together; jobs that never ran have none.
    pub core_s: i64,
}

/// A job that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Cores.
    pub cores: i64,
    /// When it began, microseconds UTC.
    pub started_us: i64,
    /// When it ended, likewise.
    pub ended_us: i64,
    /// Diagnoses and metrics, JSON.
    pub doc: String,
}

/// A job that ended well, as far as the requirements of others are measured of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Number.
    pub id: JobId,
    /// Cores.
    pub cores: i64,
    /// Its queue, if it had one.
    pub queue_id: Option<QueueId>,
    /// When it began, microseconds UTC.
    pub started_us: i64,
    /// When it ended, likewise.
    pub ended_us: i64,
    /// Diagnoses and metrics, JSON.
    pub doc: String,
}

/// The newest jobs of a kind of a live task that ended well, also those whose outputs are not merged yet; at most `n` and 1,000.
pub async fn measured(store: &Store, task: TaskId, kind: JobKind, n: i64) -> Result<Vec<Measured>, Error> {
    let binds = vec![("task", task.into()), ("kind", kind.as_str().into()), ("n", n.min(MAX_PAGE).into())];
    let one = |r: &mut Row| {
        let doc = r.take_text(5)?.unwrap_or_default();
        let queue_id = r.opt_int(2)?.map(QueueId);
        Ok(Measured { id: JobId(r.int(0)?), cores: r.int(1)?, queue_id, started_us: r.int(3)?, ended_us: r.int(4)?, doc })
    };
    store.fetch(&MEASURED, binds).await?.iter_mut().map(one).collect()
}
/// Bytes of the largest library that a live task has built; 0 when it has built none.
pub async fn library(store: &Store, task: TaskId) -> Result<i64, Error> {
    let rows = store.fetch(&LIBRARY, vec![("task", task.into())]).await?;
    rows.first().map_or(Ok(0), |r| Ok(r.opt_int(0)?.unwrap_or(0)))
}

/// Jobs of a task that finished or failed, by state and queue.
pub async fn ended(store: &Store, task: TaskId) -> Result<Vec<Ended>, Error> {
    let rows = store.fetch(&ENDED, vec![("task", task.into())]).await?;
    let one = |r: &Row| {
        let state = code("job state", r.text(0)?, JobState::parse(r.text(0)?).ok())?;
        Ok(Ended { state, queue_id: r.opt_int(1)?.map(QueueId), jobs: sum(r, 2)?, core_s: sum(r, 3)? })
    };
    rows.iter().map(one).collect()
}
/// The newest jobs of a task that ended well and ran, those at hand first; at most `n` and 1,000.
pub async fn sample(store: &Store, task: TaskId, n: i64) -> Result<Vec<Sample>, Error> {
    let mut all = Vec::new();
    for statement in [&SAMPLE, &COLD_SAMPLE] {
        let left = n.min(MAX_PAGE) - i64::try_from(all.len()).unwrap_or(n);
        if left <= 0 {
            break;
        }
        for r in &mut store.fetch(statement, vec![("task", task.into()), ("n", left.into())]).await? {
            let doc = r.take_text(3)?.unwrap_or_default();
            all.push(Sample { cores: r.int(0)?, started_us: r.int(1)?, ended_us: r.int(2)?, doc });
        }
    }
    Ok(all)
}

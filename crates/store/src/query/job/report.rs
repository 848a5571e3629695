//! Final reports waiting for the finisher, and what a job left behind.

use panda_core::id::JobId;

use crate::{Batch, Error, Store, Topic, statements};

statements! {
    insert ADD = "report.add" => job_report (job_id: Int, attempt: Int, at_us: Int, doc: Text), "{skip_dup(job_id,attempt)}";
    read NEXT = "report.next", "SELECT job_id, attempt, at_us, doc FROM job_report WHERE job_id > :after ORDER BY job_id, attempt LIMIT :n";
    [hot] read OF_JOBS = "report.of_jobs", "SELECT DISTINCT job_id FROM job_report WHERE job_id IN (:ids*) ORDER BY job_id LIMIT 1000";
    write DELETE = "report.delete", "DELETE FROM job_report WHERE job_id = :job AND attempt = :attempt";
    write END = "job_end.set", "INSERT INTO job_end (job_id, doc, meta) VALUES (:job, :doc, :meta) {upsert(job_id): doc,meta}";
    [hot] read END_GET = "job_end.get", "SELECT doc, meta FROM job_end WHERE job_id = :job LIMIT 1";
    [hot] read META_OF = "job_end.meta_of", "SELECT job_id, meta FROM job_end WHERE job_id IN (:ids*) AND meta IS NOT NULL ORDER BY job_id LIMIT 1000";
    [hot] read ENDS = "job_end.many", "SELECT job_id, doc FROM job_end WHERE job_id IN (:ids*) AND doc IS NOT NULL ORDER BY job_id LIMIT 1000";
    write LIVE = "job_live.set", "INSERT INTO job_live (job_id, attempt, seen_us, doc) VALUES (:job, :attempt, :now, :doc) {upsert(job_id): attempt,seen_us,doc}";
}

/// A final report as the pilot sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The job.
    pub job_id: JobId,
    /// The attempt it speaks of.
    pub attempt: i64,
    /// Microseconds UTC.
    pub at_us: i64,
    /// JSON object.
    pub doc: String,
}

/// Puts a final report into the inbox; the same report twice is one.
pub fn add(batch: &mut Batch, r: &Report) {
    batch.insert(&ADD, vec![r.job_id.into(), r.attempt.into(), r.at_us.into(), (&r.doc).into()]);
    batch.wake(Topic::Reports);
}
/// Reports of jobs above `after`, by job; at most `n` and 1,000.
pub async fn next(store: &Store, after: JobId, n: i64) -> Result<Vec<Report>, Error> {
    let mut rows = store.fetch(&NEXT, vec![("after", after.into()), ("n", n.min(crate::query::MAX_PAGE).into())]).await?;
    rows.iter_mut()
        .map(|r| Ok(Report { job_id: JobId(r.int(0)?), attempt: r.int(1)?, at_us: r.int(2)?, doc: r.take_text(3)?.unwrap_or_default() }))
        .collect()
}
/// Those of these jobs (at most 1,000) whose report waits to be settled.
pub async fn of_jobs(store: &Store, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = jobs.iter().map(|id| id.0).collect();
    store.fetch(&OF_JOBS, vec![("ids", ids.into())]).await?.iter().map(|r| Ok(JobId(r.int(0)?))).collect()
}
/// Takes a report out of the inbox; a conflict when it is gone.
pub fn delete(batch: &mut Batch, job: JobId, attempt: i64) {
    batch.guard(&DELETE, vec![("job", job.into()), ("attempt", attempt.into())], 1);
}
/// Keeps diagnoses and metrics (`doc`) and the payload's metadata (`meta`), JSON each.
pub fn set_end(batch: &mut Batch, job: JobId, doc: Option<&str>, meta: Option<&str>) {
    batch.exec(&END, vec![("job", job.into()), ("doc", doc.into()), ("meta", meta.into())]);
}
/// What [`set_end`] kept.
pub async fn end(store: &Store, job: JobId) -> Result<Option<(Option<String>, Option<String>)>, Error> {
    let mut rows = store.fetch(&END_GET, vec![("job", job.into())]).await?;
    rows.first_mut().map(|r| Ok((r.take_text(0)?, r.take_text(1)?))).transpose()
}
/// Diagnoses and metrics (JSON) of these jobs (at most 1,000), where there are any.
pub async fn ends(store: &Store, jobs: &[JobId]) -> Result<Vec<(JobId, String)>, Error> {
    let ids: Vec<i64> = jobs.iter().map(|id| id.0).collect();
    let mut rows = store.fetch(&ENDS, vec![("ids", ids.into())]).await?;
    rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default()))).collect()
}
/// Metadata of these jobs (at most 1,000), where there is any.
pub async fn meta_of(store: &Store, jobs: &[JobId]) -> Result<Vec<(JobId, String)>, Error> {
    let ids: Vec<i64> = jobs.iter().map(|id| id.0).collect();
    let mut rows = store.fetch(&META_OF, vec![("ids", ids.into())]).await?;
    rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default()))).collect()
}
/// Records a sign of life together with a transition.
pub fn set_live(batch: &mut Batch, job: JobId, attempt: i64, now_us: i64, doc: Option<&str>) {
    batch.exec(&LIVE, vec![("job", job.into()), ("attempt", attempt.into()), ("now", now_us.into()), ("doc", doc.into())]);
}

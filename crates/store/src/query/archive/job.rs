//! Jobs wherever they are: hot rows first, then cold ones.

use std::{cmp::Reverse, collections::BTreeSet};

use panda_core::{
    file::FileState,
    id::{JobId, QueueId, TaskId},
    job::{record::JobKind, state::JobState},
};

use super::{page as one_page, sum};
use crate::{
    Error, Store,
    query::{
        MAX_PAGE, code,
        job::{
            JobRow,
            file::{self, JobFile, Total, job_file_columns},
            job_columns,
            list::{self, Event},
            page::{self, ErrorGroup, Filter},
            read, report,
        },
    },
    statements,
};

statements! {
    [hot] read MANY = "job_archive.many", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE id IN (:ids*) ORDER BY id LIMIT 1000");
    [hot] read OF_TASK = "job_archive.of_task", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE task_id = :task AND id > :after ORDER BY id LIMIT :n");
    [hot] read ALONE = "job_archive.alone", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE person_id = :person AND task_id IS NULL ORDER BY id DESC LIMIT :n");
    [hot] read BRIEF = "job_archive.brief", "SELECT id, state, kind FROM job_archive WHERE task_id = :task AND id > :after ORDER BY id LIMIT :n";
    [hot] read DOCS = "job_archive.docs", "SELECT d.job_id, d.doc, c.doc FROM job_archive_doc d LEFT JOIN job_archive_common c ON c.id = d.common_id WHERE d.job_id IN (:ids*) ORDER BY d.job_id LIMIT 1000";
    [hot] read EVENTS = "job_archive.events", "SELECT rev, from_state, to_state, actor, at_us, reason FROM job_archive_event WHERE job_id = :id ORDER BY rev LIMIT 1000";
    [hot] read COUNT_TASK = "job_archive.count_task", "SELECT state, COUNT(*) FROM job_archive WHERE task_id = :task GROUP BY state ORDER BY state LIMIT 100";
    [hot] read DIAGS = "job_archive.diags", "SELECT id, queue_id, diag FROM job_archive WHERE task_id = :task AND state IN ('failed', 'cancelled', 'closed') AND diag IS NOT NULL ORDER BY id DESC LIMIT 500";
    [hot] read ERRORS = "job_archive.errors_of_task", "SELECT trans_exit_code, exe_error_code, pilot_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code, COUNT(*), MAX(id), MAX(diag) FROM job_archive WHERE task_id = :task AND state = 'failed' GROUP BY trans_exit_code, exe_error_code, pilot_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code ORDER BY COUNT(*) DESC LIMIT 50";
    read EVERY = "job_archive.page", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read STATES = "job_archive.page_states", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE state IN (:states*) AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read QUEUE = "job_archive.page_queue", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE state IN (:states*) AND queue_id = :queue AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read TASK = "job_archive.page_task", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE task_id = :task AND state IN (:states*) AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read TASK_QUEUE = "job_archive.page_task_queue", concat!("SELECT ", job_columns!(), " FROM job_archive WHERE task_id = :task AND state IN (:states*) AND queue_id = :queue AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read NEWEST = "job_archive.newest", "SELECT modified_us FROM job_archive WHERE modified_us >= :since ORDER BY modified_us DESC LIMIT 1";
    [hot] read END = "job_archive.end", "SELECT doc, meta FROM job_archive_end WHERE job_id = :job LIMIT 1";
    [hot] read ENDS = "job_archive.ends", "SELECT job_id, doc FROM job_archive_end WHERE job_id IN (:ids*) AND doc IS NOT NULL ORDER BY job_id LIMIT 1000";
    [hot] read META_OF = "job_archive.meta_of", "SELECT job_id, meta FROM job_archive_end WHERE job_id IN (:ids*) AND meta IS NOT NULL ORDER BY job_id LIMIT 1000";
    [hot] read FILES = "job_archive.files", concat!("SELECT ", job_file_columns!(), " FROM job_archive_file WHERE job_id IN (:ids*) ORDER BY job_id, seq LIMIT 20000");
    [hot] read OF_DATASET = "job_archive.of_dataset", concat!("SELECT ", job_file_columns!(), " FROM job_archive_file WHERE dataset_id = :dataset AND state IN (:states*) AND id > :after ORDER BY id LIMIT :n");
    [hot] read FILE = "job_archive.file", concat!("SELECT ", job_file_columns!(), " FROM job_archive_file WHERE id = :id LIMIT 1");
    [hot] read BY_LFN = "job_archive.by_lfn", concat!("SELECT ", job_file_columns!(), " FROM job_archive_file WHERE dataset_id = :dataset AND lfn = :lfn ORDER BY id DESC LIMIT 1");
    read FILE_TOTALS = "job_archive.file_totals", "SELECT state, COUNT(*), SUM(n_events) FROM job_archive_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
    [hot] read FILE_COUNT = "job_archive.file_count", "SELECT state, COUNT(*), SUM(fsize) FROM job_archive_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
}

fn plain(ids: &[JobId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}
fn missing(ids: &[JobId], found: impl Iterator<Item = JobId>) -> Vec<i64> {
    let found: BTreeSet<JobId> = found.collect();
    ids.iter().filter(|id| !found.contains(id)).map(|id| id.0).collect()
}

/// One job.
pub async fn find(store: &Store, id: JobId) -> Result<Option<JobRow>, Error> {
    Ok(many(store, &[id]).await?.pop())
}
/// Jobs of these ids (at most 1,000), by id; unknown ones are left out.
pub async fn many(store: &Store, ids: &[JobId]) -> Result<Vec<JobRow>, Error> {
    let hot = list::many(store, ids).await?;
    let missing = missing(ids, hot.iter().map(|j| j.id));
    if missing.is_empty() {
        return Ok(hot);
    }
    let cold = store.fetch(&MANY, vec![("ids", missing.into())]).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |j| j.id, MAX_PAGE))
}
/// Whether a job is in the archive.
pub async fn holds(store: &Store, id: JobId) -> Result<bool, Error> {
    Ok(!store.fetch(&MANY, vec![("ids", vec![id.0].into())]).await?.is_empty())
}
/// Jobs of a task with an id above `after`, by id; at most `n` and 1,000.
pub async fn of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = list::of_task(store, task, after, n).await?;
    let cold = store.fetch(&OF_TASK, vec![("task", task.into()), ("after", after.into()), ("n", n.into())]).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |j| j.id, n))
}
/// Id, state and kind of a task's jobs above `after`, by id; at most `n` and 10,000.
pub async fn brief_of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<(JobId, JobState, JobKind)>, Error> {
    let n = n.min(10_000);
    let hot = list::brief_of_task(store, task, after, n).await?;
    let rows = store.fetch(&BRIEF, vec![("task", task.into()), ("after", after.into()), ("n", n.into())]).await?;
    let cold = rows.iter().map(|r| {
        let state = code("job state", r.text(1)?, JobState::parse(r.text(1)?).ok())?;
        Ok((JobId(r.int(0)?), state, code("job kind", r.text(2)?, JobKind::parse(r.text(2)?).ok())?))
    });
    Ok(one_page(hot, cold.collect::<Result<_, Error>>()?, |j| j.0, n))
}
/// Ids of a task's jobs above `after`; at most `n` and 10,000.
pub async fn ids_of_task(store: &Store, task: TaskId, after: JobId, n: i64) -> Result<Vec<JobId>, Error> {
    Ok(brief_of_task(store, task, after, n).await?.into_iter().map(|j| j.0).collect())
}
/// A person's jobs without a task, newest first; at most `n` and 1,000.
pub async fn alone(store: &Store, person: i64, n: i64) -> Result<Vec<JobRow>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = list::alone(store, person, n).await?;
    let cold = store.fetch(&ALONE, vec![("person", person.into()), ("n", n.into())]).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |j| Reverse(j.id), n))
}
/// The own and common document fragments of these jobs (at most 1,000), by job.
pub async fn docs(store: &Store, ids: &[JobId]) -> Result<Vec<(JobId, String, String)>, Error> {
    let hot = list::docs(store, ids).await?;
    let missing = missing(ids, hot.iter().map(|d| d.0));
    if missing.is_empty() {
        return Ok(hot);
    }
    let mut rows = store.fetch(&DOCS, vec![("ids", missing.into())]).await?;
    let cold = rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default(), r.take_text(2)?.unwrap_or_default())));
    Ok(one_page(hot, cold.collect::<Result<_, Error>>()?, |d| d.0, MAX_PAGE))
}
/// A job's own document fragment and the common one.
pub async fn doc(store: &Store, id: JobId) -> Result<Option<(String, String)>, Error> {
    Ok(docs(store, &[id]).await?.pop().map(|(_, own, common)| (own, common)))
}
/// A job's history, oldest first.
pub async fn events(store: &Store, id: JobId) -> Result<Vec<Event>, Error> {
    let hot = list::events(store, id).await?;
    if !hot.is_empty() {
        return Ok(hot);
    }
    store.fetch(&EVENTS, vec![("id", id.into())]).await?.iter().map(list::event).collect()
}
/// How many jobs of a task are in each state.
pub async fn count_task(store: &Store, task: TaskId) -> Result<Vec<(String, i64)>, Error> {
    let hot = list::count_task(store, task).await?;
    let cold = store.fetch(&COUNT_TASK, vec![("task", task.into())]).await?;
    Ok(sum(hot, cold.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect::<Result<_, Error>>()?))
}
/// Job, queue and diagnosis of a task's newest 500 jobs that ended badly.
pub async fn diags(store: &Store, task: TaskId) -> Result<Vec<(JobId, Option<QueueId>, String)>, Error> {
    let hot = list::diags(store, task).await?;
    let rows = store.fetch(&DIAGS, vec![("task", task.into())]).await?;
    let cold = rows.iter().map(|r| Ok((JobId(r.int(0)?), r.opt_int(1)?.map(QueueId), r.text(2)?.to_owned())));
    Ok(one_page(hot, cold.collect::<Result<_, Error>>()?, |d| Reverse(d.0), 500))
}
/// Files and events of a data set, hot and cold.
pub async fn file_totals(store: &Store, dataset: i64) -> Result<Vec<Total>, Error> {
    let mut totals = file::totals(store, dataset).await?;
    for r in store.fetch(&FILE_TOTALS, vec![("dataset", dataset.into())]).await? {
        let state = code("file state", r.text(0)?, FileState::parse(r.text(0)?).ok())?;
        totals.push(Total { state, transferring: false, files: r.int(1)?, events: crate::query::sum(&r, 2)? });
    }
    Ok(totals)
}
/// What a task's failed jobs died of, most frequent first; at most 50.
pub async fn errors_of_task(store: &Store, task: TaskId) -> Result<Vec<ErrorGroup>, Error> {
    let mut groups = page::errors_of_task(store, task).await?;
    for r in store.fetch(&ERRORS, vec![("task", task.into())]).await? {
        let cold = page::error_group(&r)?;
        match groups.iter_mut().find(|g| g.codes == cold.codes) {
            Some(g) => g.n += cold.n,
            None => groups.push(cold),
        }
    }
    groups.sort_by_key(|g| Reverse((g.n, g.example)));
    groups.truncate(50);
    Ok(groups)
}
/// The newest jobs that the filter lets through; at most `n` and 1,000. A job that changes later than everything archived costs nothing here.
pub async fn page(store: &Store, f: &Filter, n: i64) -> Result<Vec<JobRow>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = page::page(store, f, n).await?;
    if store.fetch(&NEWEST, vec![("since", f.since_us.into())]).await?.is_empty() {
        return Ok(hot);
    }
    let mut binds = vec![("before", f.before.into()), ("since", f.since_us.into()), ("n", n.into())];
    let statement = match (f.task, f.queue) {
        (None, None) if f.states.is_empty() => &EVERY,
        (None, None) => &STATES,
        (None, Some(_)) => &QUEUE,
        (Some(_), None) => &TASK,
        (Some(_), Some(_)) => &TASK_QUEUE,
    };
    if !std::ptr::eq(statement, &EVERY) {
        binds.push(("states", list::words(if f.states.is_empty() { JobState::FINAL } else { &f.states })));
    }
    binds.extend(f.task.map(|task| ("task", task.into())));
    binds.extend(f.queue.map(|queue| ("queue", queue.into())));
    let cold = store.fetch(statement, binds).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |j| Reverse(j.id), n))
}
/// What [`report::set_end`] kept.
pub async fn end(store: &Store, job: JobId) -> Result<Option<(Option<String>, Option<String>)>, Error> {
    if let Some(hot) = report::end(store, job).await? {
        return Ok(Some(hot));
    }
    let mut rows = store.fetch(&END, vec![("job", job.into())]).await?;
    rows.first_mut().map(|r| Ok((r.take_text(0)?, r.take_text(1)?))).transpose()
}
/// Diagnoses and metrics (JSON) of these jobs (at most 1,000), where there are any.
pub async fn ends(store: &Store, jobs: &[JobId]) -> Result<Vec<(JobId, String)>, Error> {
    let mut rows = store.fetch(&ENDS, vec![("ids", plain(jobs).into())]).await?;
    let cold = rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default())));
    let cold = cold.collect::<Result<_, Error>>()?;
    Ok(one_page(report::ends(store, jobs).await?, cold, |e| e.0, MAX_PAGE))
}
/// Metadata of these jobs (at most 1,000), where there is any.
pub async fn meta_of(store: &Store, jobs: &[JobId]) -> Result<Vec<(JobId, String)>, Error> {
    let mut rows = store.fetch(&META_OF, vec![("ids", plain(jobs).into())]).await?;
    let cold = rows.iter_mut().map(|r| Ok((JobId(r.int(0)?), r.take_text(1)?.unwrap_or_default())));
    let cold = cold.collect::<Result<_, Error>>()?;
    Ok(one_page(report::meta_of(store, jobs).await?, cold, |e| e.0, MAX_PAGE))
}
/// Files of these jobs (at most 1,000 jobs), by job and order; at most 20,000.
pub async fn files_of(store: &Store, jobs: &[JobId]) -> Result<Vec<JobFile>, Error> {
    let hot = file::of_jobs(store, jobs).await?;
    let missing = missing(jobs, hot.iter().map(|f| f.job_id));
    if missing.is_empty() {
        return Ok(hot);
    }
    let cold = store.fetch(&FILES, vec![("ids", missing.into())]).await?;
    Ok(one_page(hot, cold.iter().map(file::read).collect::<Result<_, _>>()?, |f| (f.job_id, f.seq, f.id), 20_000))
}
/// Files of a task's data set in these states with an id above `after`, by id; at most `n` and 1,000.
pub async fn files_of_dataset(store: &Store, dataset: i64, states: &[FileState], after: i64, n: i64) -> Result<Vec<JobFile>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = file::of_dataset(store, dataset, states, after, n).await?;
    let states: Vec<String> = states.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("dataset", dataset.into()), ("states", states.into()), ("after", after.into()), ("n", n.into())];
    let cold = store.fetch(&OF_DATASET, binds).await?;
    Ok(one_page(hot, cold.iter().map(file::read).collect::<Result<_, _>>()?, |f| f.id, n))
}
/// One file.
pub async fn file(store: &Store, id: i64) -> Result<Option<JobFile>, Error> {
    if let Some(hot) = file::get(store, id).await? {
        return Ok(Some(hot));
    }
    store.fetch(&FILE, vec![("id", id.into())]).await?.first().map(file::read).transpose()
}
/// The newest file of this name in a task's data set.
pub async fn file_by_lfn(store: &Store, dataset: i64, lfn: &str) -> Result<Option<JobFile>, Error> {
    if let Some(hot) = file::by_lfn(store, dataset, lfn).await? {
        return Ok(Some(hot));
    }
    store.fetch(&BY_LFN, vec![("dataset", dataset.into()), ("lfn", lfn.into())]).await?.first().map(file::read).transpose()
}
/// Files and bytes of a data set by state.
pub async fn count_files(store: &Store, dataset: i64) -> Result<Vec<(String, i64, i64)>, Error> {
    let mut all: std::collections::BTreeMap<String, (i64, i64)> = std::collections::BTreeMap::new();
    let cold = store.fetch(&FILE_COUNT, vec![("dataset", dataset.into())]).await?;
    let cold = cold.iter().map(file::read_count).collect::<Result<Vec<_>, _>>()?;
    for (state, n, bytes) in file::count(store, dataset).await?.into_iter().chain(cold) {
        let entry = all.entry(state).or_default();
        *entry = (entry.0 + n, entry.1 + bytes);
    }
    Ok(all.into_iter().map(|(state, (n, bytes))| (state, n, bytes)).collect())
}

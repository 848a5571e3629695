//! Tasks wherever they are: hot rows first, then cold ones.

use std::cmp::Reverse;

use panda_core::{
    id::{JobId, TaskId},
    task::state::TaskState,
};

use super::{page as one_page, sum};
use crate::{
    Error, Store,
    query::{
        MAX_PAGE,
        job::list::Event,
        task::{
            TaskRow,
            dataset::{self, TaskDataset, set_columns},
            file::{self, TaskFile, file_columns},
            list,
            page::{self, Filter},
            read, task_columns,
        },
    },
    statements,
};

statements! {
    [hot] read GET = "task_archive.get", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.id = :id LIMIT 1");
    [hot] read DOCS = "task_archive.docs", "SELECT task_id, params, adjust FROM task_archive_doc WHERE task_id IN (:ids*) ORDER BY task_id LIMIT 1000";
    [hot] read OF_PERSON_PAGE = "task_archive.of_person_page", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.person_id = :person AND t.modified_us >= :since AND t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read CHILDREN = "task_archive.children", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.parent_id = :id ORDER BY t.id LIMIT 1000");
    [hot] read EVENTS = "task_archive.events", "SELECT rev, from_state, to_state, actor, at_us, reason FROM task_archive_event WHERE task_id = :id ORDER BY rev LIMIT 1000";
    read EVERY = "task_archive.page", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.id < :before AND t.modified_us >= :since ORDER BY t.id DESC LIMIT :n");
    [hot] read STATES = "task_archive.page_states", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.state IN (:states*) AND t.id < :before AND t.modified_us >= :since ORDER BY t.id DESC LIMIT :n");
    [hot] read PEOPLE = "task_archive.page_people", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.person_id IN (:people*) AND t.modified_us >= :since AND t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read BOTH = "task_archive.page_people_states", concat!("SELECT ", task_columns!(), " FROM task_archive t WHERE t.person_id IN (:people*) AND t.modified_us >= :since AND t.state IN (:states*) AND t.id < :before ORDER BY t.id DESC LIMIT :n");
    [hot] read NEWEST = "task_archive.newest", "SELECT modified_us FROM task_archive WHERE modified_us >= :since ORDER BY modified_us DESC LIMIT 1";
    [hot] read SETS = "task_archive.sets", concat!("SELECT ", set_columns!(), " FROM task_archive_set WHERE task_id IN (:tasks*) ORDER BY task_id, seq LIMIT 20000");
    [hot] read FILES = "task_archive.files", concat!("SELECT ", file_columns!(), " FROM task_archive_file WHERE dataset_id = :dataset AND seq > :after ORDER BY seq LIMIT :n");
    [hot] read NAMES = "task_archive.names", "SELECT seq, id, lfn, state, first_event, last_event FROM task_archive_file WHERE dataset_id = :dataset AND seq > :after ORDER BY seq LIMIT :n";
    [hot] read FILE_COUNT = "task_archive.file_count", "SELECT state, COUNT(*) FROM task_archive_file WHERE dataset_id = :dataset GROUP BY state ORDER BY state LIMIT 100";
    [hot] read FILES_OF_JOBS = "task_archive.files_of_jobs", concat!("SELECT ", file_columns!(), " FROM task_archive_file WHERE job_id IN (:ids*) ORDER BY job_id, dataset_id, seq LIMIT 20000");
    [hot] read COLD_US = "task_archive.cold_us", "SELECT cold_us FROM task WHERE id = :id LIMIT 1";
}

/// One task.
pub async fn find(store: &Store, id: TaskId) -> Result<Option<TaskRow>, Error> {
    if let Some(hot) = list::get(store, id).await? {
        return Ok(Some(hot));
    }
    cold(store, id).await
}
/// The task, when it is in the archive: nothing can be done with it any more.
pub async fn cold(store: &Store, id: TaskId) -> Result<Option<TaskRow>, Error> {
    store.fetch(&GET, vec![("id", id.into())]).await?.first().map(read).transpose()
}
/// When jobs of a task that is not in the archive itself were last moved there, microseconds UTC.
pub async fn jobs_moved(store: &Store, id: TaskId) -> Result<Option<i64>, Error> {
    Ok(store.fetch(&COLD_US, vec![("id", id.into())]).await?.first().map(|r| r.opt_int(0)).transpose()?.flatten())
}
/// A task's parameters, JSON.
pub async fn params(store: &Store, id: TaskId) -> Result<Option<String>, Error> {
    Ok(docs(store, &[id]).await?.pop().map(|d| d.1))
}
/// Parameters of these tasks (at most 1,000) and what the engine changed since, JSON each, by task.
pub async fn docs(store: &Store, ids: &[TaskId]) -> Result<Vec<list::Doc>, Error> {
    let hot = list::docs(store, ids).await?;
    let missing: Vec<i64> = ids.iter().filter(|id| !hot.iter().any(|h| h.0 == **id)).map(|id| id.0).collect();
    if missing.is_empty() {
        return Ok(hot);
    }
    let mut rows = store.fetch(&DOCS, vec![("ids", missing.into())]).await?;
    let cold = rows.iter_mut().map(list::read_doc);
    Ok(one_page(hot, cold.collect::<Result<_, Error>>()?, |d| d.0, MAX_PAGE))
}
/// A person's tasks below `before` changed since `since_us`, newest first; at most `n` and 1,000.
pub async fn of_person_page(store: &Store, person: i64, since_us: i64, before: TaskId, n: i64) -> Result<Vec<TaskRow>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = list::of_person_page(store, person, since_us, before, n).await?;
    let binds = vec![("person", person.into()), ("since", since_us.into()), ("before", before.into()), ("n", n.into())];
    let cold = store.fetch(&OF_PERSON_PAGE, binds).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |t| Reverse(t.id), n))
}
/// Child tasks.
pub async fn children(store: &Store, id: TaskId) -> Result<Vec<TaskRow>, Error> {
    let hot = list::children(store, id).await?;
    let cold = store.fetch(&CHILDREN, vec![("id", id.into())]).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |t| t.id, MAX_PAGE))
}
/// A task's history, oldest first.
pub async fn events(store: &Store, id: TaskId) -> Result<Vec<Event>, Error> {
    let hot = list::events(store, id).await?;
    if !hot.is_empty() {
        return Ok(hot);
    }
    store.fetch(&EVENTS, vec![("id", id.into())]).await?.iter().map(crate::query::job::list::event).collect()
}
/// The newest tasks that the filter lets through; at most `n` and 1,000.
pub async fn page(store: &Store, f: &Filter, n: i64) -> Result<Vec<TaskRow>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = page::page(store, f, n).await?;
    if store.fetch(&NEWEST, vec![("since", f.since_us.into())]).await?.is_empty() {
        return Ok(hot);
    }
    let mut binds = vec![("before", f.before.into()), ("since", f.since_us.into()), ("n", n.into())];
    if !f.states.is_empty() {
        let states: Vec<String> = f.states.iter().map(|s: &TaskState| s.as_str().to_owned()).collect();
        binds.push(("states", states.into()));
    }
    let statement = match &f.people {
        Some(people) if people.is_empty() => return Ok(hot),
        Some(people) => {
            binds.push(("people", people.clone().into()));
            if f.states.is_empty() { &PEOPLE } else { &BOTH }
        }
        None if f.states.is_empty() => &EVERY,
        None => &STATES,
    };
    let cold = store.fetch(statement, binds).await?;
    Ok(one_page(hot, cold.iter().map(read).collect::<Result<_, _>>()?, |t| Reverse(t.id), n))
}
/// A task's data sets in order.
pub async fn datasets(store: &Store, task: TaskId) -> Result<Vec<TaskDataset>, Error> {
    datasets_of(store, &[task]).await
}
/// Data sets of these tasks (at most 1,000), by task and order.
pub async fn datasets_of(store: &Store, tasks: &[TaskId]) -> Result<Vec<TaskDataset>, Error> {
    let hot = dataset::of_tasks(store, tasks).await?;
    let missing: Vec<i64> = tasks.iter().filter(|t| !hot.iter().any(|d| d.task_id == **t)).map(|t| t.0).collect();
    if missing.is_empty() {
        return Ok(hot);
    }
    let cold = store.fetch(&SETS, vec![("tasks", missing.into())]).await?;
    Ok(one_page(hot, cold.iter().map(dataset::read).collect::<Result<_, _>>()?, |d| (d.task_id, d.seq, d.id), 20_000))
}
/// Files of a data set with a number above `after`, in order; at most `n` and 1,000.
pub async fn files(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<TaskFile>, Error> {
    let n = n.min(MAX_PAGE);
    let hot = file::page(store, dataset, after, n).await?;
    let cold = store.fetch(&FILES, vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.into())]).await?;
    Ok(one_page(hot, cold.iter().map(file::read).collect::<Result<_, _>>()?, |f| f.seq, n))
}
/// Names of a data set's files with a number above `after`, in order; at most `n` and 10,000.
pub async fn names(store: &Store, dataset: i64, after: i64, n: i64) -> Result<Vec<file::Name>, Error> {
    let n = n.min(10_000);
    let hot = file::names(store, dataset, after, n).await?;
    let cold = store.fetch(&NAMES, vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.into())]).await?;
    Ok(one_page(hot, cold.iter().map(file::read_name).collect::<Result<_, _>>()?, |f| f.seq, n))
}
/// Files of a data set by state.
pub async fn count_files(store: &Store, dataset: i64) -> Result<Vec<(String, i64)>, Error> {
    let hot = file::count(store, dataset).await?;
    let cold = store.fetch(&FILE_COUNT, vec![("dataset", dataset.into())]).await?;
    Ok(sum(hot, cold.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect::<Result<_, Error>>()?))
}
/// Files that these jobs (at most 1,000) were or are in charge of, by job; at most 20,000.
pub async fn files_of_jobs(store: &Store, jobs: &[JobId]) -> Result<Vec<TaskFile>, Error> {
    let hot = file::of_jobs(store, jobs).await?;
    let ids: Vec<i64> = jobs.iter().map(|j| j.0).collect();
    let cold = store.fetch(&FILES_OF_JOBS, vec![("ids", ids.into())]).await?;
    Ok(one_page(hot, cold.iter().map(file::read).collect::<Result<_, _>>()?, |f| (f.job_id, f.dataset_id, f.seq, f.id), 20_000))
}

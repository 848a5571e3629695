//! Pages of jobs for people who look, newest first, and what a task's failed jobs died of.

use panda_core::{
    id::{JobId, QueueId, TaskId},
    job::{error::Source, state::JobState},
};

use super::{JobRow, job_columns, read};
use crate::{Error, Store, query::MAX_PAGE, statements};

statements! {
    read EVERY = "job.page", concat!("SELECT ", job_columns!(), " FROM job WHERE id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read STATES = "job.page_states", concat!("SELECT ", job_columns!(), " FROM job WHERE state IN (:states*) AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read QUEUE = "job.page_queue", concat!("SELECT ", job_columns!(), " FROM job WHERE state IN (:states*) AND queue_id = :queue AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read TASK = "job.page_task", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read TASK_QUEUE = "job.page_task_queue", concat!("SELECT ", job_columns!(), " FROM job WHERE task_id = :task AND state IN (:states*) AND queue_id = :queue AND id < :before AND modified_us >= :since ORDER BY id DESC LIMIT :n");
    [hot] read ERRORS = "job.errors_of_task", "SELECT trans_exit_code, exe_error_code, pilot_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code, COUNT(*), MAX(id), MAX(diag) FROM job WHERE task_id = :task AND state = 'failed' GROUP BY trans_exit_code, exe_error_code, pilot_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code ORDER BY COUNT(*) DESC LIMIT 50";
}

/// Which jobs a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this task.
    pub task: Option<TaskId>,
    /// At this queue.
    pub queue: Option<QueueId>,
    /// In one of these states; empty = any.
    pub states: Vec<JobState>,
    /// Changed since, microseconds UTC.
    pub since_us: i64,
    /// With a number below this one.
    pub before: JobId,
}

/// Failed jobs of one task with the same codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorGroup {
    /// The codes by their source.
    pub codes: Vec<(Source, i64)>,
    /// How many jobs.
    pub n: i64,
    /// The newest of them.
    pub example: JobId,
    /// One of their diagnoses.
    pub diag: Option<String>,
}

/// The newest jobs that the filter lets through; at most `n` and 1,000.
pub async fn page(store: &Store, f: &Filter, n: i64) -> Result<Vec<JobRow>, Error> {
    let mut binds = vec![("before", f.before.into()), ("since", f.since_us.into()), ("n", n.min(MAX_PAGE).into())];
    let statement = match (f.task, f.queue) {
        (None, None) if f.states.is_empty() => &EVERY,
        (None, None) => &STATES,
        (None, Some(_)) => &QUEUE,
        (Some(_), None) => &TASK,
        (Some(_), Some(_)) => &TASK_QUEUE,
    };
    if !std::ptr::eq(statement, &EVERY) {
        // Indexes start with the state or go through it, so "any" is all of them.
        binds.push(("states", super::list::words(if f.states.is_empty() { JobState::ALL } else { &f.states })));
    }
    binds.extend(f.task.map(|task| ("task", task.into())));
    binds.extend(f.queue.map(|queue| ("queue", queue.into())));
    store.fetch(statement, binds).await?.iter().map(read).collect()
}
/// What a task's failed jobs died of, most frequent first; at most 50.
pub async fn errors_of_task(store: &Store, task: TaskId) -> Result<Vec<ErrorGroup>, Error> {
    let rows = store.fetch(&ERRORS, vec![("task", task.into())]).await?;
    rows.iter().map(error_group).collect()
}
pub(crate) fn error_group(r: &crate::Row) -> Result<ErrorGroup, Error> {
    let mut codes = Vec::new();
    for (at, source) in Source::ALL.iter().enumerate() {
        codes.extend(r.opt_int(at)?.filter(|c| *c != 0).map(|c| (*source, c)));
    }
    Ok(ErrorGroup { codes, n: r.int(7)?, example: JobId(r.int(8)?), diag: r.opt_text(9)?.map(str::to_owned) })
}

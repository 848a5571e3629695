//! Jobs that wait at queues, for who sends them elsewhere.

use panda_core::{
    id::{JobId, LaneId, QueueId, TaskId},
    job::state::JobState,
    policy::rebroker::FREE,
};

use super::{JobRow, job_columns, list::words, read};
use crate::{Error, Store, query::MAX_PAGE, statements};

statements! {
    [hot] read OF_LANES = "job.waiting_of_lanes", concat!("SELECT ", job_columns!(), " FROM job WHERE state IN (:states*) AND lane_id IN (:lanes*) AND label = :label AND id > :after ORDER BY id LIMIT :n");
    [hot] read SINCE = "job.waiting_since", concat!("SELECT ", job_columns!(), " FROM job WHERE state = :state AND lane_id IN (:lanes*) AND id > :after AND state_us < :before ORDER BY id LIMIT :n");
    [hot] read PROGRESSED = "job.progressed", "SELECT id FROM job WHERE task_id = :task AND state IN (:states*) AND queue_id = :queue AND state_us >= :since LIMIT 1";
}

/// Jobs of these lanes (at most 1,000) and a label that wait and that no pilot has, above `after`, the oldest first; at most `n` and 1,000.
pub async fn of_lanes(store: &Store, lanes: &[LaneId], label: &str, after: JobId, n: i64) -> Result<Vec<JobRow>, Error> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<i64> = lanes.iter().take(1_000).map(|l| l.0).collect();
    let binds = vec![
        ("states", words(FREE)),
        ("lanes", lanes.into()),
        ("label", label.into()),
        ("after", after.into()),
        ("n", n.min(MAX_PAGE).into()),
    ];
    store.fetch(&OF_LANES, binds).await?.iter().map(read).collect()
}
/// Jobs of these lanes (at most 1,000) above `after` that came into a state before `before_us`, by id; at most `n` and 1,000.
pub async fn since(store: &Store, state: JobState, lanes: &[i64], after: JobId, before_us: i64, n: i64) -> Result<Vec<JobRow>, Error> {
    let binds = vec![
        ("state", state.as_str().into()),
        ("lanes", lanes.to_vec().into()),
        ("after", after.into()),
        ("before", before_us.into()),
        ("n", n.min(MAX_PAGE).into()),
    ];
    store.fetch(&SINCE, binds).await?.iter().map(read).collect()
}
/// Whether a job of a task came into one of these states at a queue since then.
pub async fn progressed(store: &Store, task: TaskId, queue: QueueId, states: &[JobState], since_us: i64) -> Result<bool, Error> {
    let binds = vec![("task", task.into()), ("states", words(states)), ("queue", queue.into()), ("since", since_us.into())];
    Ok(!store.fetch(&PROGRESSED, binds).await?.is_empty())
}

//! Queues that jobs of a task were taken away from.

use panda_core::id::{QueueId, TaskId};

use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read LIST = "task_moved.list", "SELECT queue_id, reason, at_us FROM task_moved WHERE task_id = :task AND at_us > :since ORDER BY queue_id LIMIT 1000";
    [hot] write SET = "task_moved.set", "INSERT INTO task_moved (task_id, queue_id, reason, at_us) VALUES (:task, :queue, :reason, :at) {upsert(task_id,queue_id): reason,at_us}";
    write CLEAR = "task_moved.clear", "DELETE FROM task_moved WHERE task_id = :task";
}

/// Queues that jobs were taken away from after `since_us`, with the reason and the time; at most 1,000.
pub async fn list(store: &Store, task: TaskId, since_us: i64) -> Result<Vec<(QueueId, String, i64)>, Error> {
    let rows = store.fetch(&LIST, vec![("task", task.into()), ("since", since_us.into())]).await?;
    rows.iter().map(|r| Ok((QueueId(r.int(0)?), r.text(1)?.to_owned(), r.int(2)?))).collect()
}
/// Notes that jobs were taken away from a queue.
pub fn set(batch: &mut Batch, task: TaskId, queue: QueueId, reason: &str, at_us: i64) {
    batch.exec(&SET, vec![("task", task.into()), ("queue", queue.into()), ("reason", reason.into()), ("at", at_us.into())]);
}
/// Forgets them, when the task starts anew.
pub fn clear(batch: &mut Batch, task: TaskId) {
    batch.exec(&CLEAR, vec![("task", task.into())]);
}

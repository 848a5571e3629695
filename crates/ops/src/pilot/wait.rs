//! Lets a pilot of ours wait until there may be work, instead of asking again and again.

use std::time::Duration;

use panda_store::Topic;

use crate::{Ops, OpsError, hold::Gate};

/// Longest wait of one call, seconds; below the usual limits of proxies.
pub const MAX_WAIT_S: u64 = 60;

/// Waits until jobs of this queue were activated, at most `timeout`; true when there may be work.
pub async fn wait(ops: &Ops, queue: &str, timeout: Duration) -> Result<bool, OpsError> {
    let Some(queue) = ops.queue(queue).await? else {
        return Err(OpsError::NotFound(format!("queue `{queue}` does not exist; add it with `panda queue add {queue}`")));
    };
    super::seen::note(ops, queue.id).await?;
    let mut woken = ops.store.wake().subscribe(Topic::Ready(queue.id));
    // What was activated before we subscribed shows in the lanes.
    if !held(ops, queue.id).await? && has_work(ops, queue.id).await? {
        return Ok(true);
    }
    let timeout = timeout.min(Duration::from_secs(MAX_WAIT_S));
    Ok(tokio::time::timeout(timeout, woken.changed()).await.is_ok())
}

/// Whether nothing is handed out at this queue now: then a pilot sleeps, whatever waits.
async fn held(ops: &Ops, queue: panda_core::id::QueueId) -> Result<bool, OpsError> {
    Ok(matches!(ops.queues().await?.gate(queue, None, ops.now().0), Gate::Shut(_)))
}

async fn has_work(ops: &Ops, queue: panda_core::id::QueueId) -> Result<bool, OpsError> {
    let queues = ops.queues().await?;
    let lanes: Vec<_> = queues.lanes.get(&queue).into_iter().flatten().map(|l| l.id).collect();
    Ok(panda_store::query::job::list::any_ready(&ops.store, &lanes).await?)
}

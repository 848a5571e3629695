//! When pilots were last seen at a queue: what people ask first when jobs wait.

use panda_core::id::QueueId;
use panda_store::{
    Batch,
    query::{snapshot, worker},
};

use crate::{Ops, OpsError};

/// How often a process writes down that pilots ask, so that others can tell, microseconds.
const WRITE_EVERY_US: i64 = 30_000_000;

fn name(queue: QueueId) -> String {
    format!("pilot_seen:{queue}")
}

/// Notes that a pilot of this queue asks for jobs. Costs a look into memory, and a small batch every half minute.
pub async fn note(ops: &Ops, queue: QueueId) -> Result<(), OpsError> {
    let now = ops.now().0;
    {
        let mut seen = ops.live.pilots.lock();
        if seen.get(&queue).is_some_and(|at| now - at < WRITE_EVERY_US) {
            return Ok(());
        }
        seen.insert(queue, now);
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, &name(queue), now, &format!("{{\"queue\":{queue}}}"));
    Ok(ops.store.apply(batch).await?)
}

/// When a pilot or worker of this queue was last heard of, to half a minute, microseconds UTC.
pub async fn last(ops: &Ops, queue: QueueId) -> Result<Option<i64>, OpsError> {
    let asked = snapshot::get(&ops.store, &name(queue)).await?.map(|(at, _)| at);
    let worker = worker::latest(&ops.store, queue).await?;
    Ok(asked.max(worker))
}

//! When pilots were last seen at a queue: what people ask first when jobs wait.

use std::collections::HashMap;

use panda_core::id::QueueId;
use panda_store::{
    Batch,
    query::{snapshot, worker},
};

use parking_lot::Mutex;

use crate::{
    Ops, OpsError,
    statistics::{SEEN, STARTED},
};

/// How often a process writes down that pilots ask, so that others can tell, microseconds.
const WRITE_EVERY_US: i64 = 30_000_000;

fn name(kind: &str, queue: QueueId) -> String {
    format!("{kind}:{queue}")
}

/// Notes that a pilot of this queue asks for jobs. Costs a look into memory, and a small batch every half minute.
pub async fn note(ops: &Ops, queue: QueueId) -> Result<(), OpsError> {
    write(ops, &ops.live.pilots, SEEN, queue).await
}

/// Notes that a job was handed out at this queue, as cheaply.
pub async fn started(ops: &Ops, queue: QueueId) -> Result<(), OpsError> {
    write(ops, &ops.live.starts, STARTED, queue).await
}

async fn write(ops: &Ops, written: &Mutex<HashMap<QueueId, i64>>, kind: &str, queue: QueueId) -> Result<(), OpsError> {
    let now = ops.now().0;
    {
        let mut written = written.lock();
        if written.get(&queue).is_some_and(|at| now - at < WRITE_EVERY_US) {
            return Ok(());
        }
        written.insert(queue, now);
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, &name(kind, queue), now, &format!("{{\"queue\":{queue}}}"));
    Ok(ops.store.apply(batch).await?)
}

/// When a pilot or worker of this queue was last heard of, to half a minute, microseconds UTC.
pub async fn last(ops: &Ops, queue: QueueId) -> Result<Option<i64>, OpsError> {
    let asked = snapshot::at(&ops.store, &name(SEEN, queue)).await?;
    let worker = worker::latest(&ops.store, queue).await?;
    Ok(asked.max(worker))
}
/// When a job was last handed out at this queue, to half a minute, microseconds UTC.
pub async fn last_start(ops: &Ops, queue: QueueId) -> Result<Option<i64>, OpsError> {
    Ok(snapshot::at(&ops.store, &name(STARTED, queue)).await?)
}

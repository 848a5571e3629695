//! Holds that people set and lift: a queue, or the dispatch of the server or of a queue. They last until somebody lifts them.

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::QueueId,
    policy::brake::{HoldKind, HoldState},
};
use panda_store::{
    Batch, Topic,
    query::hold::{self as rows, EVERY_NODE, HoldRow, SERVER},
};

use super::{MAX_REASON, note};
use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Holds a queue: nothing is handed out there, brokerage sends nothing new. Production role.
pub async fn hold(ops: &Ops, who: &Principal, queue: &str, reason: &str) -> Result<(), OpsError> {
    let id = known(ops, who, queue).await?;
    set(ops, who, id, queue, HoldKind::Operator, reason).await
}
/// Stops the dispatch of a queue, or of the whole server; running jobs, heartbeats and reports go on. Production role.
pub async fn drain(ops: &Ops, who: &Principal, queue: Option<&str>, reason: &str) -> Result<(), OpsError> {
    let id = at(ops, who, queue).await?;
    set(ops, who, id, queue.unwrap_or_default(), HoldKind::Drain, reason).await
}
/// Lifts an operator's hold of a queue and its brakes, those of its machines included. The answer is how many there were. Production role.
pub async fn release(ops: &Ops, who: &Principal, queue: &str) -> Result<usize, OpsError> {
    let id = known(ops, who, queue).await?;
    lift(ops, who, id, queue, &[HoldKind::Operator, HoldKind::Brake]).await
}
/// Lets the dispatch go on. The answer is how many drains there were. Production role.
pub async fn undrain(ops: &Ops, who: &Principal, queue: Option<&str>) -> Result<usize, OpsError> {
    let id = at(ops, who, queue).await?;
    lift(ops, who, id, queue.unwrap_or_default(), &[HoldKind::Drain]).await
}

async fn known(ops: &Ops, who: &Principal, queue: &str) -> Result<QueueId, OpsError> {
    table::admit(Right::QueueChange, Some(who))?;
    let queues = ops.queues_changed().await?;
    let missing = || OpsError::NotFound(format!("queue `{queue}` does not exist; `panda queue list` shows what there is"));
    let found = queues.by_name.get(queue).ok_or_else(missing)?;
    table::allowed(Right::QueueChange, Some(who), Some(Object::of_site(&found.site)))?;
    Ok(found.id)
}
async fn at(ops: &Ops, who: &Principal, queue: Option<&str>) -> Result<QueueId, OpsError> {
    match queue {
        Some(name) => known(ops, who, name).await,
        None => {
            table::allowed(Right::SystemChange, Some(who), None)?;
            Ok(SERVER)
        }
    }
}

async fn set(ops: &Ops, who: &Principal, queue: QueueId, name: &str, kind: HoldKind, reason: &str) -> Result<(), OpsError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(OpsError::refused(format!("give a reason of at most {MAX_REASON} characters: whoever waits will read it")));
    }
    for _ in 0..MAX_CONFLICTS {
        let now = ops.now().0;
        let queues = ops.queues_changed().await?;
        let old = queues.holds.iter().find(|h| h.queue_id == queue && h.node == EVERY_NODE && h.kind == kind);
        let h = HoldRow {
            queue_id: queue,
            node: EVERY_NODE.into(),
            kind,
            state: HoldState::Held,
            reason: reason.to_owned(),
            who: who.name.clone(),
            since_us: now,
            next_us: now,
            wait_s: 0,
            tries: 0,
            job_id: None,
            rev: old.map_or(0, |o| o.rev),
        };
        let mut batch = Batch::new();
        if old.is_some() {
            rows::set(&mut batch, &h)
        } else {
            rows::add(&mut batch, &h)
        }
        note(ops, &mut batch, &h, name, "held", None).await?;
        match ops.store.apply(batch).await {
            Ok(()) => {
                tracing::warn!(queue = name, kind = kind.as_str(), reason, by = who.name, "dispatch held");
                return ops.queues_changed().await.map(|_| ());
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("this hold changes all the time; try again"))
}

async fn lift(ops: &Ops, who: &Principal, queue: QueueId, name: &str, kinds: &[HoldKind]) -> Result<usize, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let queues = ops.queues_changed().await?;
        let mut batch = Batch::new();
        let mut n = 0;
        for h in queues.holds.iter().filter(|h| h.queue_id == queue && kinds.contains(&h.kind) && h.state != HoldState::Free) {
            n += 1;
            let free = HoldRow { state: HoldState::Free, who: who.name.clone(), since_us: ops.now().0, job_id: None, ..HoldRow::clone(h) };
            note(ops, &mut batch, &free, name, "released", None).await?;
            // What failed before an operator let go does not brake the queue again.
            if h.kind == HoldKind::Brake {
                rows::set(&mut batch, &free)
            } else {
                rows::delete(&mut batch, h)
            }
            super::brake::forget(&mut batch, h);
        }
        for q in queues.by_id.keys().filter(|q| queue == SERVER || **q == queue) {
            batch.wake(Topic::Ready(*q));
        }
        batch.wake(Topic::Files).wake(Topic::Holds);
        match ops.store.apply(batch).await {
            Ok(()) => {
                tracing::info!(queue = name, n, by = who.name, "dispatch released");
                let queues = ops.queues_changed().await?;
                // Whoever was woken by the batch may have looked before this process knew: once more, now that it does.
                for q in queues.by_id.keys().filter(|q| queue == SERVER || **q == queue) {
                    ops.store.wake().notify(Topic::Ready(*q));
                }
                return Ok(n);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("this hold changes all the time; try again"))
}

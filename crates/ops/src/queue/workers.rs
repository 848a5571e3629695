//! How many workers of each resource type a queue should get (`spec/engine.md` sections 9.4 and 20.5). Telling the harvesters comes with them.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::LaneId,
    job::state::JobState,
    policy::resource::{Waiting, Workers, worker_targets},
};
use panda_store::query::{queue::LaneRow, worker};
use serde_json::{Value, json};

use crate::{Ops, OpsError, share::order, statistics};

/// The targets of a queue: `{"queue", "targets": {resource type: workers}, "running_cores", "queued_workers", "activated": {resource type: jobs}}`.
pub async fn targets(ops: &Ops, who: &Principal, name: &str) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let queues = ops.queues().await?;
    let queue = queues.by_name.get(name).ok_or_else(|| OpsError::NotFound(format!("queue `{name}` does not exist")))?;
    let load = statistics::load(ops).await?;
    let at = load.queue(queue.id);
    let lanes: Vec<&LaneRow> = queues.lanes.get(&queue.id).into_iter().flatten().map(AsRef::as_ref).collect();
    let ids: Vec<LaneId> = lanes.iter().map(|l| l.id).collect();
    let heads = ops.store.heads(&ids, true, ops.now().0).await?;
    // Types in the order in which their first jobs would be handed out.
    let mut types: Vec<&str> = Vec::new();
    for lane in order::peek(ops, queue.id, &lanes, &heads).await? {
        let kind = lanes.iter().find(|l| l.id == lane).map(|l| l.resource_type.as_str());
        types.extend(kind.filter(|k| !types.contains(k)));
    }
    let waiting: Vec<Waiting<'_>> = types
        .iter()
        .filter_map(|kind| {
            let c = at.by_type.get(*kind)?;
            let n = c.activated();
            (n > 0).then(|| Waiting { resource_type: kind, cores: c.cores(&[JobState::Activated]) / n, n })
        })
        .collect();
    // Workers do not say for which type they were sent: they count as what a slot of the queue is.
    let queued_workers = worker::queued(&ops.store, queue.id).await?;
    let slot = ops.resource_types().await?.of(queue.core_count.max(1), 0).to_owned();
    let doc: Value = serde_json::from_str(&queue.doc).unwrap_or_default();
    let workers = Workers {
        slot_cores: queue.core_count.max(1),
        running_cores: at.all.running_cores(),
        core_target: doc.pointer("/params/ups_core_target").and_then(Value::as_i64).unwrap_or(0),
        queued: BTreeMap::from([(slot, (queued_workers, queue.core_count.max(1)))]),
    };
    let activated: BTreeMap<&str, i64> = waiting.iter().map(|w| (w.resource_type, w.n)).collect();
    Ok(json!({
        "queue": name, "targets": worker_targets(&workers, &waiting), "running_cores": workers.running_cores,
        "queued_workers": queued_workers, "activated": activated,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice};

    #[tokio::test]
    async fn worker_targets_of_a_queue() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let asked = async || targets(&w.ops, &alice(), "LOCAL").await.unwrap()["targets"].clone();
        assert_eq!(asked().await, json!({"SCORE": 1}), "one finds out whether the queue works");
        for _ in 0..3 {
            w.job(&alice(), None, q, JobState::Activated).await;
        }
        w.pass(11);
        assert_eq!(asked().await, json!({"SCORE": 3}));
        assert!(targets(&w.ops, &alice(), "NOWHERE").await.is_err());
    }
}

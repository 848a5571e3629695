//! How many workers of each resource type a queue should get (`spec/engine.md` sections 9.4 and 20.5). The instances of Harvester are told by `harvester::ups`.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::LaneId,
    job::state::JobState,
    policy::resource::{Waiting, Workers, worker_targets},
};
use panda_store::query::{
    harvester::{ANY, SlotRow, StatRow},
    queue::{LaneRow, QueueRow},
    worker,
};
use serde_json::{Value, json};

use crate::{
    Ops, OpsError,
    harvester::{slots, ups},
    share::order,
    statistics,
};

/// How many workers a queue should get, and what that follows from.
#[derive(Debug, Default)]
pub struct Targets {
    /// New workers by resource type.
    pub targets: BTreeMap<String, i64>,
    /// Cores of running jobs.
    pub running_cores: i64,
    /// Workers that wait in a batch system.
    pub queued_workers: i64,
    /// Activated jobs by resource type.
    pub activated: BTreeMap<String, i64>,
}

/// The targets of a queue: `{"queue", "targets": {resource type: workers}, "running_cores", "queued_workers", "activated": {resource type: jobs}}`.
pub async fn targets(ops: &Ops, who: &Principal, name: &str) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let missing = || OpsError::NotFound(format!("queue `{name}` does not exist"));
    let queue = ops.queue(name).await?.ok_or_else(missing)?;
    let t = of(ops, &queue, &ups::told(ops).await?).await?;
    Ok(json!({
        "queue": name, "targets": t.targets, "running_cores": t.running_cores, "queued_workers": t.queued_workers, "activated": t.activated,
    }))
}

/// The targets of a queue, by what instances told lately of all queues.
pub(crate) async fn of(ops: &Ops, queue: &QueueRow, told: &[StatRow]) -> Result<Targets, OpsError> {
    let queues = ops.queues().await?;
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
    let slot_cores = queue.core_count.max(1);
    let told = ups::counts(told, &queue.name);
    let queued = match &told {
        Some(told) => {
            let cores = |kind: &str| waiting.iter().find(|w| w.resource_type == kind).map_or(slot_cores, |w| w.cores.max(1));
            told.iter().map(|(kind, (n, _))| (kind.clone(), (*n, cores(kind)))).collect()
        }
        None => {
            // Workers that only their pilots tell of do not say for which type they were sent: they count as what a slot of the queue is.
            let slot = ops.resource_types().await?.of(slot_cores, 0).to_owned();
            BTreeMap::from([(slot, (worker::queued(&ops.store, queue.id).await?, slot_cores))])
        }
    };
    let queued_workers = queued.values().map(|(n, _)| *n).sum();
    let doc: Value = serde_json::from_str(&queue.doc).unwrap_or_default();
    let workers = Workers {
        slot_cores,
        running_cores: at.all.running_cores(),
        core_target: doc.pointer("/params/ups_core_target").and_then(Value::as_i64).unwrap_or(0),
        queued,
    };
    let mut targets = worker_targets(&workers, &waiting);
    within_slots(&mut targets, &slots::of(ops, queue.id).await?, &told.unwrap_or_default());
    let activated = waiting.iter().map(|w| (w.resource_type.to_owned(), w.n)).collect();
    Ok(Targets { targets, running_cores: workers.running_cores, queued_workers, activated })
}

/// Slots that the queue is to have bound what is asked for: those of the type, and those of any.
fn within_slots(targets: &mut BTreeMap<String, i64>, slots: &[SlotRow], have: &ups::Counts) {
    for s in slots.iter().filter(|s| s.share == ANY) {
        let of_all = s.resource_type == ANY;
        let there: i64 =
            have.iter().filter(|(kind, _)| of_all || **kind == s.resource_type).map(|(_, (waiting, running))| waiting + running).sum();
        let mut room = (s.n - there).max(0);
        for (_, n) in targets.iter_mut().filter(|(kind, _)| of_all || **kind == s.resource_type) {
            *n = (*n).min(room);
            room -= *n;
        }
    }
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

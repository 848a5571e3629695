//! Queues whose workers are asked for from here (`spec/engine.md` sections 9.4 and 20.5, `spec/harvester.md` section 5): commands
//! `SET_N_WORKERS_JOBTYPE:<queue>` for the instance that a queue names, as long as it tells what it has there; and `SYNC_WORKERS_KILL` for workers
//! whose pilot has ended while their batch job goes on.

use std::collections::BTreeMap;

use panda_core::queue::{Capability, QueueState};
use panda_store::{
    Batch,
    query::{
        harvester::{self as rows, StatRow},
        queue::QueueRow,
        snapshot, worker,
    },
};
use serde_json::{Value, json};

use super::{command, command::Order, doc, named};
use crate::{Ops, OpsError, queue::workers};

/// For how long what an instance says of its workers at a queue counts, microseconds (`spec/harvester.md` section 5).
pub const FRESH_US: i64 = 3_600 * 1_000_000;
/// How often a queue gets a command, microseconds (`spec/engine.md` section 20.5).
const EVERY_US: i64 = 300 * 1_000_000;
/// Snapshots that say when a queue got its last command, `ups:<queue>`, and when workers were looked at that outlived their pilots.
const TURN: &str = "ups";
const OUTLIVED: &str = "ups_outlived";
/// The label that workers are asked for: upstream's instances know them by it, whatever jobs they get.
const LABEL: &str = "managed";
/// How long a batch job may outlive its pilot before it is killed, microseconds: the shipped cycles of a Harvester (a monitor every 10 minutes, a
/// report every minute) are over three times.
const OUTLIVES_US: i64 = 1_800 * 1_000_000;
/// Workers that were not told of for so long are not killed: nobody knows what has become of them, microseconds.
const FORGOTTEN_US: i64 = 24 * 3_600 * 1_000_000;

/// Workers that an instance has at a queue, by resource type: (waiting, running).
pub type Counts = BTreeMap<String, (i64, i64)>;

/// What instances told lately of what they have at queues.
pub(crate) async fn told(ops: &Ops) -> Result<Vec<StatRow>, OpsError> {
    Ok(rows::stats(&ops.store, ops.now().0 - FRESH_US).await?)
}

/// What was told of a queue; None when nothing was.
pub(crate) fn counts(told: &[StatRow], queue: &str) -> Option<Counts> {
    let mut out: Option<Counts> = None;
    for stat in told.iter().filter(|s| s.queue == queue) {
        let doc: Value = serde_json::from_str(&stat.doc).unwrap_or_default();
        let all = out.get_or_insert_default();
        for kinds in doc.as_object().into_iter().flat_map(|labels| labels.values()) {
            for (kind, states) in kinds.as_object().into_iter().flatten() {
                let n = |state: &str| states.get(state).and_then(Value::as_i64).unwrap_or(0);
                let at = all.entry(kind.clone()).or_default();
                at.0 += n("submitted") + n("ready") + n("to_submit");
                at.1 += n("running") + n("idle");
            }
        }
    }
    out
}

/// Whether workers of a queue are asked for from here.
fn is_driven(queue: &QueueRow) -> bool {
    let doc = doc(queue);
    let word = |key: &str| doc.get(key).and_then(Value::as_str).unwrap_or_default();
    let asks = QueueState::parse(&queue.state).is_ok_and(|s| matches!(s, QueueState::Online | QueueState::Test | QueueState::Brokeroff));
    asks && Capability::parse(word("capability")).is_ok_and(|c| c == Capability::Ucore) && word("workflow").eq_ignore_ascii_case("pull_ups")
}

/// One step: commands for every such queue, and for workers that outlived their pilots. The answer is the number of commands.
pub async fn step(ops: &Ops) -> Result<usize, OpsError> {
    let now = ops.now().0;
    let told = told(ops).await?;
    let turns: BTreeMap<String, i64> = snapshot::kind(&ops.store, TURN).await?.into_iter().collect();
    let mut made = 0;
    for queue in ops.queues().await?.sorted() {
        let Some(harvester) = named(&queue).filter(|_| is_driven(&queue)) else { continue };
        let name = queue.id.to_string();
        if turns.get(&name).is_some_and(|at| now - at < EVERY_US) {
            continue;
        }
        // Who has not said that it serves the queue gets no command, as upstream.
        if !told.iter().any(|s| s.harvester == harvester && s.queue == queue.name) {
            continue;
        }
        let targets = workers::of(ops, &queue, &told).await?.targets;
        if targets.values().all(|n| *n == 0) {
            continue;
        }
        let mut batch = Batch::new();
        snapshot::set(&mut batch, &format!("{TURN}:{name}"), now, "{}");
        let name = format!("SET_N_WORKERS_JOBTYPE:{}", queue.name);
        let order = Order { name: &name, params: json!({LABEL: targets}), ack: false, replaces: true };
        command::send(ops, &mut batch, &harvester, &order).await?;
        ops.store.apply(batch).await?;
        made += 1;
    }
    Ok(made + outlived(ops, now).await?)
}

/// Kills what is left of workers whose pilots have ended.
async fn outlived(ops: &Ops, now: i64) -> Result<usize, OpsError> {
    if snapshot::at(&ops.store, OUTLIVED).await?.is_some_and(|at| now - at < EVERY_US) {
        return Ok(0);
    }
    let mut by_instance: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (harvester, number) in worker::outlived(&ops.store, now - FORGOTTEN_US, now - OUTLIVES_US).await? {
        by_instance.entry(harvester).or_default().push(number);
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, OUTLIVED, now, "{}");
    for (harvester, numbers) in &by_instance {
        let order = Order { name: "SYNC_WORKERS_KILL", params: json!(numbers), ack: true, replaces: true };
        command::send(ops, &mut batch, harvester, &order).await?;
    }
    ops.store.apply(batch).await?;
    Ok(by_instance.len())
}

//! Chooses a queue for the jobs of a task and records why.

use panda_core::{
    id::QueueId,
    policy::broker::{Candidate, Decision, Need, decide},
    queue::PilotFamily,
};
use panda_ops::{Ops, task::spec::Plan};
use panda_store::{
    Batch,
    query::{decision, job, queue::QueueRow},
};
use serde_json::json;

use crate::EngineError;

/// Stage of the record.
pub const STAGE: &str = "broker";

/// What a task's jobs need.
#[must_use]
pub fn need(plan: &Plan) -> Need {
    Need {
        only: plan.sites.clone(),
        never: plan.not_sites.clone(),
        cores: plan.cores,
        ram_mb: plan.ram_mb,
        disk_mb: plan.disk_mb,
        walltime_s: plan.walltime_s,
        container: plan.container.is_some(),
        native: plan.needs_native,
    }
}

/// Runs the broker over all queues.
pub async fn choose(ops: &Ops, need: &Need) -> Result<Decision, EngineError> {
    let queues = ops.queues().await?;
    let counts = job::list::counts(&ops.store).await?;
    let load = |id: QueueId, states: &[&str]| {
        counts.iter().filter(|c| c.queue_id == Some(id) && states.contains(&c.state.as_str())).map(|c| c.n).sum()
    };
    let candidates: Vec<Candidate> = queues
        .sorted()
        .iter()
        .map(|q| {
            candidate(q, need, load(q.id, &["running", "starting", "sent"]), load(q.id, &["activated", "defined", "assigned", "waiting"]))
        })
        .collect();
    Ok(decide(&candidates, need))
}

fn candidate(q: &QueueRow, need: &Need, running: i64, queued: i64) -> Candidate {
    let named = need.only.contains(&q.name);
    Candidate {
        name: q.name.clone(),
        online: q.state == "online" || (q.state == "test" && named),
        family: PilotFamily::parse(&q.pilot_family).unwrap_or(PilotFamily::Native),
        has_container: !serde_json::from_str::<serde_json::Value>(&q.doc)
            .ok()
            .and_then(|d| d.get("container_type").and_then(|c| c.as_str().map(str::is_empty)))
            .unwrap_or(true),
        cores: q.core_count,
        max_ram_mb: q.max_ram_mb,
        max_disk_mb: q.max_disk_mb,
        max_walltime_s: q.max_walltime_s,
        running,
        queued,
    }
}

/// Writes the decision as the latest of its task.
pub fn record(batch: &mut Batch, task: i64, decision: &Decision, now_us: i64) {
    let funnel: Vec<_> =
        decision.funnel.iter().map(|r| json!({"criterion": r.criterion, "why": r.why, "removed": r.count, "queues": r.queues})).collect();
    let doc = json!({"considered": decision.considered, "funnel": funnel, "left": decision.left, "chosen": decision.chosen()});
    decision::set(batch, task, STAGE, now_us, &doc.to_string());
}

//! What the jobs of a task need of a queue, and the record of the choice.

use panda_core::policy::broker::{Decision, Need};
use panda_ops::{
    Ops,
    job::broker::{Broker, STAGE},
    task::plan::Plan,
};
use panda_store::{Batch, query::decision};
use serde_json::json;

use crate::EngineError;

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
    Ok(Broker::new(ops).await?.decision(need))
}

/// Writes the decision as the latest of its task.
pub fn record(batch: &mut Batch, task: i64, decision: &Decision, now_us: i64) {
    let funnel: Vec<_> =
        decision.funnel.iter().map(|r| json!({"criterion": r.criterion, "why": r.why, "removed": r.count, "queues": r.queues})).collect();
    let doc = json!({"considered": decision.considered, "funnel": funnel, "left": decision.left, "chosen": decision.chosen()});
    decision::set(batch, task, STAGE, now_us, &doc.to_string());
}

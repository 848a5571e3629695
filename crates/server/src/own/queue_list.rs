//! `GET queue/list`: queues and their states.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_store::query::queue::{QueueRow, RseRow};
use serde_json::{Value, json};

/// A list of queues by name.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    let snapshot = ctx.ops().queues().await?;
    let queues = snapshot.sorted();
    let list: Value = queues.iter().map(|q| summary(q, snapshot.rses.get(&q.rse_id).map(AsRef::as_ref))).collect();
    Ok(Answer::data(list))
}

/// What is said of a queue in a list.
pub(super) fn summary(queue: &QueueRow, storage: Option<&RseRow>) -> Value {
    json!({
        "name": queue.name,
        "site": queue.site,
        "state": queue.state,
        "pilot": queue.pilot_family,
        "storage": storage.map(|s| json!({"name": s.name, "root": s.root, "state": s.state})),
        "script_base": queue.script_base,
        "core_count": queue.core_count,
        "max_ram_mb": queue.max_ram_mb,
        "max_disk_mb": queue.max_disk_mb,
        "max_walltime_s": queue.max_walltime_s,
    })
}

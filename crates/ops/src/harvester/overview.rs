//! What is known of the instances, for people.

use panda_access::{Principal, Right, table};
use panda_store::query::{harvester as rows, worker};
use serde_json::{Value, json};

use super::STATS_US;
use crate::{Ops, OpsError, clock};

/// Latest workers, commands, messages and measurements that are shown of an instance.
const LATEST: i64 = 50;

fn document(text: Option<&str>) -> Value {
    text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// Every instance: `[{"name", "version", "run_by", "started", "last_heard", "queues": {queue: {label: {resource type: {state: workers}}}}}]`; what
/// it has at queues is that of the last four hours.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let stats = rows::stats(&ops.store, ops.now().0 - STATS_US).await?;
    let of = |name: &str| -> Value {
        stats
            .iter()
            .filter(|s| s.harvester == name)
            .map(|s| (s.queue.clone(), document(Some(&s.doc))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let all = rows::list(&ops.store).await?;
    Ok(all
        .iter()
        .map(|h| {
            json!({
                "name": h.name, "version": h.version, "run_by": h.who, "started": h.started_us.map(clock::text),
                "last_heard": clock::text(h.heard_us), "queues": of(&h.name),
            })
        })
        .collect())
}

/// One instance: its row as in [`list`], with `"about"` (what its heartbeat said besides), and its latest `"workers"`, `"commands"`, `"dialogs"` and `"metrics"`.
pub async fn show(ops: &Ops, who: &Principal, name: &str) -> Result<Value, OpsError> {
    let all = list(ops, who).await?;
    let found = all.as_array().into_iter().flatten().find(|h| h["name"] == name).cloned();
    let mut out =
        found.ok_or_else(|| OpsError::NotFound(format!("no Harvester `{name}` was heard of; it is known from its first heartbeat on")))?;
    let row = rows::list(&ops.store).await?.into_iter().find(|h| h.name == name);
    out["about"] = document(row.as_ref().and_then(|h| h.doc.as_deref()));
    let (queues, mut workers) = (ops.queues().await?, Vec::new());
    for w in worker::newest(&ops.store, name, LATEST).await? {
        workers.push(json!({
            "number": w.number, "state": w.state, "pilot": w.pilot_state, "batch_id": w.batch_id, "node": w.node, "endpoint": w.endpoint,
            "queue": w.queue.and_then(|q| queues.by_id.get(&q)).map(|q| q.name.clone()), "resource_type": w.resource_type,
            "error_code": w.error_code, "reason": w.reason, "told": document(w.doc.as_deref()), "last_heard": clock::text(w.modified_us),
        }));
    }
    out["workers"] = workers.into();
    let commands = rows::commands(&ops.store, name, LATEST).await?;
    out["commands"] = commands
        .iter()
        .map(|c| json!({"id": c.id, "command": c.name, "params": document(c.params.as_deref()), "state": c.state, "made": clock::text(c.created_us)}))
        .collect();
    let dialogs = rows::dialogs(&ops.store, name, LATEST).await?;
    out["dialogs"] = dialogs
        .iter()
        .map(|d| json!({"at": clock::text(d.at_us), "level": d.severity, "module": d.module, "about": d.subject, "message": d.message}))
        .collect();
    let metrics = rows::metrics(&ops.store, name, LATEST).await?;
    out["metrics"] =
        metrics.iter().map(|(host, at, doc)| json!({"at": clock::text(*at), "host": host, "values": document(Some(doc))})).collect();
    Ok(out)
}

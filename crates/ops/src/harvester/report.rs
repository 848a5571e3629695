//! What an instance tells of itself: heartbeats, what it has at queues, messages, measurements.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_store::{
    Batch, Topic,
    query::{
        harvester::{self as rows, DialogRow, HarvesterRow},
        worker,
    },
};
use panda_wire::{datetime, lenient};
use serde_json::{Map, Value, json};

use super::{STATS_US, admitted};
use crate::{Ops, OpsError};

/// Most messages or measurements of one call: twenty times what a Harvester sends at once.
pub const MAX_ITEMS: usize = 1_000;
/// Most of them in a batch.
const A_BATCH: usize = 200;
/// Largest document of a heartbeat, of what there is at a queue, and of a measurement, bytes.
const MAX_DOC: usize = 64 << 10;

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
fn text(value: Option<&Value>, most: usize) -> Option<String> {
    let text = lenient::text(value?.clone())?;
    Some(cut(text.trim(), most)).filter(|t| !t.is_empty())
}
fn bounded(what: &str, doc: &str) -> Result<(), OpsError> {
    if doc.len() > MAX_DOC {
        return Err(OpsError::refused(format!("{what} has {} bytes; at most {MAX_DOC} are kept", doc.len())));
    }
    Ok(())
}

/// `harvester/heartbeat`: the first one of an instance makes it known, later ones may be empty.
pub async fn heartbeat(ops: &Ops, who: &Principal, harvester: &str, data: &Map<String, Value>) -> Result<(), OpsError> {
    admitted(ops, who, harvester).await?;
    let version = text(data.get("sw_version"), 40);
    let started = data.get("startTime").and_then(datetime::parse_value);
    let rest: Map<String, Value> = data
        .iter()
        .filter(|(k, v)| !matches!(k.as_str(), "sw_version" | "startTime") && !v.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let doc = if rest.is_empty() { None } else { Some(Value::Object(rest).to_string()) };
    bounded("the heartbeat", doc.as_deref().unwrap_or_default())?;
    let mut batch = Batch::new();
    let row = HarvesterRow {
        name: harvester.to_owned(),
        version,
        who: cut(&who.name, 200),
        vo: ops.only_vo(who).await?.map(str::to_owned),
        started_us: started,
        heard_us: ops.now().0,
        doc,
    };
    rows::beat(&mut batch, &row);
    Ok(ops.store.apply(batch).await?)
}

/// `harvester/report_worker_statistics`: `{label: {resource type: {state: workers}}}`, as JSON text or as an object, in place of what was told before.
pub async fn statistics(ops: &Ops, who: &Principal, harvester: &str, queue: &str, statistics: &Value) -> Result<(), OpsError> {
    admitted(ops, who, harvester).await?;
    if queue.is_empty() || queue.len() > 100 {
        return Err(OpsError::refused("panda_queue must have 1 to 100 characters"));
    }
    let parsed = match statistics {
        Value::String(text) => serde_json::from_str(text).map_err(|e| OpsError::refused(format!("statistics is no JSON: {e}")))?,
        other => other.clone(),
    };
    let shape = || OpsError::refused("statistics must be a JSON object {label: {resource type: {state: number}}}");
    let mut labels = Map::new();
    for (label, kinds) in parsed.as_object().ok_or_else(shape)? {
        let mut out = Map::new();
        for (kind, states) in kinds.as_object().ok_or_else(shape)? {
            let mut counts = Map::new();
            for (state, n) in states.as_object().ok_or_else(shape)? {
                let n = lenient::int(n).filter(|n| *n >= 0).ok_or_else(shape)?;
                counts.insert(state.clone(), n.into());
            }
            out.insert(kind.clone(), Value::Object(counts));
        }
        labels.insert(label.clone(), Value::Object(out));
    }
    let doc = Value::Object(labels).to_string();
    bounded("statistics", &doc)?;
    let mut batch = Batch::new();
    rows::set_stat(&mut batch, harvester, queue, &doc, ops.now().0);
    // A queue that was not told of gets its first command at once.
    batch.wake(Topic::Workers);
    Ok(ops.store.apply(batch).await?)
}

/// `harvester/get_worker_statistics`: `{queue: {instance: {label: {resource type: {state: workers}}}}}` of the last four hours.
pub async fn worker_statistics(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let mut sites: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for stat in rows::stats(&ops.store, ops.now().0 - STATS_US).await? {
        let doc = serde_json::from_str(&stat.doc).unwrap_or_else(|_| json!({}));
        sites.entry(stat.queue).or_default().insert(stat.harvester, doc);
    }
    Ok(serde_json::to_value(sites).unwrap_or_default())
}

/// `harvester/add_dialogs`: one with a number that is known takes the other's place. What cannot be read is left out, with a line in the log: a
/// Harvester would send it again for ever.
pub async fn dialogs(ops: &Ops, who: &Principal, harvester: &str, dialogs: &[Value]) -> Result<(), OpsError> {
    admitted(ops, who, harvester).await?;
    bound("dialogs", dialogs.len())?;
    let now = ops.now().0;
    let mut read = Vec::with_capacity(dialogs.len());
    for d in dialogs {
        let Some(number) = d.get("diagID").and_then(lenient::int) else {
            tracing::warn!(harvester, "a dialog without a number in diagID was not taken");
            continue;
        };
        read.push(DialogRow {
            number,
            module: text(d.get("moduleName"), 100),
            subject: text(d.get("identifier"), 100),
            severity: text(d.get("messageLevel"), 12).unwrap_or_else(|| "INFO".to_owned()),
            message: text(d.get("diagMessage"), 500),
            at_us: d.get("creationTime").and_then(datetime::parse_value).unwrap_or(now),
        });
    }
    for part in read.chunks(A_BATCH) {
        let mut batch = Batch::new();
        part.iter().for_each(|d| rows::set_dialog(&mut batch, harvester, d));
        ops.store.apply(batch).await?;
    }
    Ok(())
}

/// `harvester/update_service_metrics`: a list of `[time, host, JSON text]`.
pub async fn metrics(ops: &Ops, who: &Principal, harvester: &str, metrics: &[Value]) -> Result<(), OpsError> {
    admitted(ops, who, harvester).await?;
    bound("metrics", metrics.len())?;
    let shape = || OpsError::refused("metrics must be a list of [time, host, JSON text]");
    let mut read = Vec::with_capacity(metrics.len());
    for m in metrics {
        let [at, host, doc] = m.as_array().and_then(|m| <&[Value; 3]>::try_from(m.as_slice()).ok()).ok_or_else(shape)?;
        let at = datetime::parse_value(at).ok_or_else(shape)?;
        let host = text(Some(host), 128).ok_or_else(shape)?;
        let doc: Value = match doc {
            Value::String(text) => serde_json::from_str(text).map_err(|e| OpsError::refused(format!("a metric is no JSON: {e}")))?,
            other => other.clone(),
        };
        let doc = doc.to_string();
        bounded("a metric", &doc)?;
        read.push((at, host, doc));
    }
    for part in read.chunks(A_BATCH) {
        let mut batch = Batch::new();
        part.iter().for_each(|(at, host, doc)| rows::set_metric(&mut batch, harvester, host, *at, doc));
        ops.store.apply(batch).await?;
    }
    Ok(())
}

fn bound(what: &str, n: usize) -> Result<(), OpsError> {
    if n > MAX_ITEMS {
        return Err(OpsError::refused(format!("{n} {what} in one call; send at most {MAX_ITEMS}")));
    }
    Ok(())
}

/// `harvester/get_current_worker_id`: the highest number of a worker of this instance; 0 when it has none yet.
pub async fn current_worker(ops: &Ops, who: &Principal, harvester: &str) -> Result<i64, OpsError> {
    admitted(ops, who, harvester).await?;
    Ok(worker::max_number(&ops.store, harvester).await?.unwrap_or(0))
}

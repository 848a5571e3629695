//! Records of brokerage: what was decided, filter by filter, as people and programs read it.

use std::collections::BTreeSet;

use panda_core::policy::broker::{Criterion, Decision, Relaxation};
use panda_store::{Batch, Store, query::decision};
use serde_json::{Map, Value, json};

use super::Place;
use crate::{OpsError, queue::Snapshot};

/// Stage of the decision record.
pub const STAGE: &str = "broker";
/// Relaxations recorded.
const MAX_FREES: usize = 10;

/// A decision as it is recorded: `{"reason", "considered", "passed", "funnel": [{"criterion", "why", "removed", "queues"}], "waived", "kept":
/// [{"queue", "weight", "used"}], "chosen", "frees": [sentence]}`.
#[must_use]
pub fn document(d: &Decision) -> Map<String, Value> {
    let funnel: Vec<Value> =
        d.funnel.iter().map(|r| json!({"criterion": r.criterion.as_str(), "why": r.why, "removed": r.count, "queues": r.queues})).collect();
    let kept: Vec<Value> = d.kept.iter().map(|k| json!({"queue": k.queue, "weight": rounded(k.weight), "used": k.used})).collect();
    let reason = match d.chosen() {
        None => d.sentence(),
        Some(name) => format!("{name} was drawn among {} of {} queues that fit; {} were looked at", d.kept.len(), d.passed, d.considered),
    };
    let doc = json!({
        "reason": reason, "considered": d.considered, "passed": d.passed, "funnel": funnel,
        "waived": d.waived.iter().map(|c| c.as_str()).collect::<Vec<_>>(), "kept": kept, "chosen": d.chosen(),
        "frees": d.frees.iter().take(MAX_FREES).map(Relaxation::sentence).collect::<Vec<_>>(),
    });
    if let Value::Object(map) = doc { map } else { Map::new() }
}

/// Four digits: a weight is an estimate, and a record should not change with its last bits.
pub(super) fn rounded(weight: f64) -> f64 {
    (weight * 10_000.0).round() / 10_000.0
}

/// What a task's latest record tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Last {
    /// Queues that the task uses, by name.
    pub used: BTreeSet<String>,
    /// What makes two records different.
    content: Option<Value>,
}

/// Reads a task's latest record.
pub async fn last(store: &Store, task: i64, stage: &str) -> Result<Last, OpsError> {
    let Some((_, doc)) = decision::get(store, task, stage).await? else { return Ok(Last::default()) };
    let doc: Value = serde_json::from_str(&doc).unwrap_or_default();
    let used = doc["used"].as_array().into_iter().flatten().filter_map(|u| u.as_str().map(str::to_owned)).collect();
    Ok(Last { used, content: Some(content(&doc)) })
}

/// The queues that a record leaves out for this reason, as far as it names them.
#[must_use]
pub fn left_out(doc: &str, why: Criterion) -> Vec<String> {
    let doc: Value = serde_json::from_str(doc).unwrap_or_default();
    let funnel = doc["funnel"].as_array().into_iter().flatten().filter(|r| r["criterion"] == why.as_str());
    funnel.flat_map(|r| r["queues"].as_array().into_iter().flatten()).filter_map(|q| q.as_str().map(str::to_owned)).collect()
}

/// What of a record counts as its content: the filters with what they took out, and the queues kept; not weights and what was drawn.
fn content(doc: &Value) -> Value {
    let funnel = doc["funnel"].as_array().into_iter().flatten().map(|r| json!([r["criterion"], r["removed"], r["queues"]]));
    let kept: BTreeSet<&str> = doc["kept"].as_array().into_iter().flatten().filter_map(|k| k["queue"].as_str()).collect();
    json!([funnel.collect::<Vec<_>>(), kept, doc["considered"], doc["waived"]])
}

/// Writes a task's decision as the latest; the one before becomes history when its content was different. The queue drawn counts as used, unless
/// something else `waits`: the sentence says what.
pub async fn write(
    store: &Store,
    batch: &mut Batch,
    task: i64,
    d: &Decision,
    waits: Option<&str>,
    last: &Last,
    now_us: i64,
) -> Result<(), OpsError> {
    let mut doc = document(d);
    let mut used = last.used.clone();
    if let Some(reason) = waits {
        doc.insert("reason".into(), reason.into());
        doc.insert("chosen".into(), Value::Null);
    } else {
        used.extend(d.chosen().map(str::to_owned));
    }
    doc.insert("used".into(), used.into_iter().collect());
    keep(store, batch, task, STAGE, &Value::Object(doc), last, now_us).await
}

/// Writes a record as the latest of a stage, keeping the one before as history when its content was different; at most
/// [`decision::MAX_HISTORY`] are kept.
pub async fn keep(store: &Store, batch: &mut Batch, task: i64, stage: &str, doc: &Value, last: &Last, now_us: i64) -> Result<(), OpsError> {
    if last.content.as_ref().is_some_and(|old| *old != content(doc)) {
        decision::keep(batch, task, stage);
        let history = decision::history(store, task, stage).await?;
        if let Some(oldest) = history.get(decision::MAX_HISTORY.saturating_sub(2)) {
            decision::forget(batch, task, stage, oldest.at_us);
        }
    }
    decision::set(batch, task, stage, now_us, &doc.to_string());
    Ok(())
}

/// The record of a job without a task that was placed or waits.
#[must_use]
pub fn of_job(place: &Place, decision: Option<&Decision>, snapshot: &Snapshot) -> Value {
    let considered = snapshot.facts.len();
    match (place, decision) {
        (Place::Queue(id), Some(d)) => {
            let mut doc = document(d);
            let name = snapshot.by_id.get(id).map(|q| q.name.as_str());
            doc.insert("chosen".into(), json!(name));
            doc.insert(
                "reason".into(),
                json!(format!("{} was drawn among {} queues that fit; {considered} were looked at", name.unwrap_or_default(), d.passed)),
            );
            Value::Object(doc)
        }
        (Place::Queue(id), None) => json!({"chosen": snapshot.by_id.get(id).map(|q| q.name.as_str()), "considered": considered}),
        (Place::Later(why) | Place::Never(why), _) => json!({"chosen": null, "considered": considered, "reason": why}),
    }
}

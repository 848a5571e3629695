//! The nucleus of a task, with the endpoints, queues and backlogs as they are: `core` decides; its record has the form of the broker's.

use std::collections::BTreeMap;

use panda_core::policy::{
    broker::{Endpoint, MAX_NAMES, Needs},
    nucleus::{Ask, Candidate, Decision, Limits, decide},
};
use panda_core::time::SplitMix64;
use panda_store::{Store, query::task};
use serde_json::{Value, json};

use super::{Broker, record::rounded};
use crate::{Ops, OpsError};

/// Stage of the decision record.
pub const STAGE: &str = "nucleus";

/// Input files that tasks have still to process, by nucleus.
pub type Backlog = BTreeMap<String, i64>;

/// The backlog of every nucleus now.
pub async fn backlog(store: &Store) -> Result<Backlog, OpsError> {
    Ok(task::list::backlog(store).await?.into_iter().collect())
}

/// Chooses a nucleus for a task whose jobs have these needs.
#[must_use]
pub fn choose(broker: &Broker, needs: &Needs, ask: &Ask<'_>, backlog: &Backlog, seed: u64) -> Decision {
    let all = &broker.snapshot().storages.endpoints;
    let marked: Vec<(&String, &Endpoint)> = all.iter().filter(|(_, e)| e.is_nucleus).collect();
    let candidates: Vec<Candidate<'_>> = marked
        .iter()
        .map(|(name, endpoint)| {
            let there = Needs { nucleus: Some((*name).clone()), ..needs.clone() };
            let backlog_files = backlog.get(*name).copied().unwrap_or(0);
            Candidate { name, endpoint, backlog_files, is_reached: broker.reaches(&there) }
        })
        .collect();
    let limits = Limits::read(broker.settings(), &needs.vo, &needs.label);
    decide(&candidates, ask, &limits, &mut SplitMix64::new(seed))
}

/// A decision as it is recorded: the keys of [`super::record::document`], with endpoints where those have queues.
#[must_use]
pub fn document(d: &Decision) -> Value {
    let funnel: Vec<Value> =
        d.funnel.iter().map(|r| json!({"criterion": r.criterion.as_str(), "why": r.why, "removed": r.count, "queues": r.names})).collect();
    let kept: Vec<Value> = d.kept.iter().map(|k| json!({"queue": k.name, "weight": rounded(k.weight), "used": false})).collect();
    json!({
        "reason": d.sentence(), "considered": d.considered, "passed": d.kept.len(), "funnel": funnel,
        "waived": d.waived.iter().map(|c| c.as_str()).collect::<Vec<_>>(), "kept": kept, "chosen": d.chosen, "frees": d.frees(),
    })
}

/// Checks that an endpoint is there and marked as a nucleus.
///
/// # Errors
/// A sentence that says what is wrong and which there are.
pub async fn check(ops: &Ops, name: &str) -> Result<(), OpsError> {
    // As they are now: it may have been marked a moment ago.
    let queues = ops.queues_changed().await?;
    let all = &queues.storages.endpoints;
    if all.get(name).is_some_and(|e| e.is_nucleus) {
        return Ok(());
    }
    let nuclei: Vec<&str> = all.iter().filter(|(_, e)| e.is_nucleus).take(MAX_NAMES).map(|(name, _)| name.as_str()).collect();
    let what = if all.contains_key(name) {
        format!("storage endpoint {name} is no nucleus")
    } else {
        format!("there is no storage endpoint {name}")
    };
    let which = if nuclei.is_empty() { "none is marked as a nucleus".to_owned() } else { format!("nuclei are {}", nuclei.join(", ")) };
    Err(OpsError::refused(format!("{what}; {which} (`panda storage list`)")))
}

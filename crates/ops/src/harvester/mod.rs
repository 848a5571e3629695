//! Harvester instances (`spec/harvester.md`): what they tell of themselves and of their workers, and what they are told to do.
//!
//! An instance is known by its name (`harvester_id`) from its first word on; nobody registers it. Workers are rows keyed by the instance and its own
//! number of the worker. Must not know HTTP.

pub mod command;
pub mod overview;
pub mod report;
pub mod slots;
#[cfg(test)]
mod tests;
mod told;
pub mod ups;
pub mod workers;

use std::sync::Arc;

use panda_access::{Denied, Object, Principal, Right, table};
use panda_core::id::QueueId;
use panda_store::query::{harvester as rows, queue::QueueRow};
use serde_json::Value;

use crate::{Ops, OpsError, queue::facts};

/// Longest name of an instance, bytes.
const MAX_NAME: usize = 100;
/// For how long what an instance says of its workers at a queue counts in `get_worker_statistics`, microseconds (`spec/api_v1.md` section 6).
const STATS_US: i64 = 4 * 3_600 * 1_000_000;

/// The caller may act for an instance, and the name is one. Where there are several VOs, those who work for one of them reach the instances that
/// were first heard of from it, and those that nobody has heard of.
async fn admitted(ops: &Ops, who: &Principal, harvester: &str) -> Result<(), OpsError> {
    table::allowed(Right::Harvester, Some(who), None)?;
    let plain = |b: u8| b.is_ascii_graphic() || b == b' ';
    if harvester.trim().is_empty() || harvester.len() > MAX_NAME || !harvester.bytes().all(plain) {
        return Err(OpsError::refused(format!("harvester_id must have 1 to {MAX_NAME} printable characters")));
    }
    if let Some(mine) = ops.only_vo(who).await?
        && let Some(vo) = rows::vo(&ops.store, harvester).await?
        && vo.as_deref() != Some(mine)
    {
        return Err(Denied::OtherVo.into());
    }
    Ok(())
}

/// `harvester_id` of the caller as the wire has it, or what stands behind `harvester-` of a `scheduler_id`.
#[must_use]
pub fn instance<'a>(harvester: Option<&'a str>, scheduler: Option<&'a str>) -> Option<&'a str> {
    let named = |s: &'a str| Some(s.trim()).filter(|s| !s.is_empty() && s.len() <= MAX_NAME);
    harvester.and_then(named).or_else(|| scheduler?.strip_prefix("harvester-").and_then(named))
}

/// The document of a queue.
fn doc(queue: &QueueRow) -> Value {
    serde_json::from_str(&queue.doc).unwrap_or_default()
}

/// The instance that a queue names, when it says that Harvester serves it.
fn named(queue: &QueueRow) -> Option<String> {
    let doc = doc(queue);
    let of = |key: &str| doc.get(key).and_then(Value::as_str).map(str::trim).filter(|s| !s.is_empty());
    of("pilot_manager").filter(|m| m.eq_ignore_ascii_case("harvester"))?;
    of("harvester").map(str::to_owned)
}

/// The queue of this name, to whose Harvesters the caller may give commands, or a refusal that says what to do. Where there are several VOs,
/// production of one of them commands queues that are its own alone.
async fn commanded(ops: &Ops, who: &Principal, name: &str) -> Result<Arc<QueueRow>, OpsError> {
    table::admit(Right::HarvesterCommand, Some(who))?;
    let missing = || OpsError::NotFound(format!("queue `{name}` does not exist; `panda queue list` shows those that do"));
    let queue = ops.queue(name).await?.ok_or_else(missing)?;
    let vos = facts::read(&queue, None).0.vos;
    let vo = match vos.as_slice() {
        [one] => Some(one.as_str()),
        _ if ops.vos().await?.0.len() > 1 => Some(""),
        _ => None,
    };
    table::allowed(Right::HarvesterCommand, Some(who), Some(Object { owner: None, vo, site: Some(&queue.site) }))?;
    Ok(queue)
}

/// Instances that serve a queue: the one that it names, and those that lately said what they have there.
async fn serving(ops: &Ops, queue: &QueueRow) -> Result<Vec<String>, OpsError> {
    let mut all: Vec<String> = named(queue).into_iter().collect();
    for stat in rows::stats(&ops.store, ops.now().0 - STATS_US).await? {
        if stat.queue == queue.name && !all.contains(&stat.harvester) {
            all.push(stat.harvester);
        }
    }
    if all.is_empty() {
        return Err(OpsError::refused(format!(
            "no Harvester serves queue {0}; name one with `panda queue set {0} pilot_manager=Harvester harvester=NAME`",
            queue.name
        )));
    }
    Ok(all)
}

/// The queue that a worker names, if it is one of ours.
async fn queue_id(ops: &Ops, names: [Option<&str>; 2]) -> Result<Option<QueueId>, OpsError> {
    let queues = ops.queues().await?;
    Ok(names.into_iter().flatten().find_map(|name| queues.by_name.get(name)).map(|q| q.id))
}

//! What pilots say of the worker that they run in, and of the machine (`spec/api_v1.md` section 10).

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{JobId, QueueId},
    machine::Actor,
    worker::{self, WorkerState},
};
use panda_store::{Batch, IdKind, query::worker as rows};
use serde_json::{Map, Value};

use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Longest name of a harvester instance, site or node, bytes.
const MAX_NAME: usize = 100;
/// Most kinds of accelerators kept of one machine.
const MAX_GPUS: usize = 16;

/// A worker's start or end. `site` is the queue, if the pilot says it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The harvester instance.
    pub harvester: String,
    /// Its number of the worker.
    pub number: i64,
    /// `started` or `finished`.
    pub status: String,
    /// The queue.
    pub site: Option<String>,
    /// The node.
    pub node: Option<String>,
}

/// `update_worker_status`. A worker that nobody told of before is made; what is repeated or comes late changes nothing.
pub async fn status(ops: &Ops, who: &Principal, s: &Status) -> Result<(), OpsError> {
    table::allowed(Right::PilotReport, Some(who), None)?;
    let to = match s.status.as_str() {
        "started" => WorkerState::Running,
        "finished" => WorkerState::Finished,
        _ => return Err(OpsError::refused("Invalid worker state. The worker state needs to be 'started' or 'finished'")),
    };
    named("harvester_id", &s.harvester)?;
    let node = s.node.as_deref().map(|n| cut(n, 128));
    let queue = match s.site.as_deref() {
        Some(site) => ops.queue(site).await?.map(|q| q.id),
        None => None,
    };
    for _ in 0..MAX_CONFLICTS {
        let now = ops.now().0;
        let mut batch = Batch::new();
        let id = match rows::get(&ops.store, &s.harvester, s.number).await? {
            None => {
                worker::check(None, to, Actor::Pilot)?;
                let id = ops.store.id(IdKind::Row).await?;
                rows::add(&mut batch, id, &s.harvester, s.number, queue, to.as_str(), now);
                id
            }
            Some(w) => {
                let state = WorkerState::parse(&w.state).map_err(|e| OpsError::Internal(e.to_string()))?;
                // A final state sticks, and the same again is no change. The end of a batch job is told by its Harvester, where one does.
                let ended_elsewhere = to.is_final() && w.told_us > 0;
                if !ended_elsewhere && worker::check(Some(state), to, Actor::Pilot).is_ok() {
                    rows::transition(&mut batch, w.id, w.rev, state.as_str(), to.as_str(), now);
                } else if w.pilot_state.as_deref() == Some(&s.status) {
                    return Ok(());
                }
                w.id
            }
        };
        rows::pilot(&mut batch, id, Some(&s.status), node, queue, now);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(()),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused("Failed to update worker status"))
}

/// A pilot that says which worker it is was handed these jobs: they are the worker's from now on.
pub(super) async fn took(
    ops: &Ops,
    harvester: &str,
    number: i64,
    queue: QueueId,
    node: Option<&str>,
    jobs: &[JobId],
) -> Result<(), OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let now = ops.now().0;
        let mut batch = Batch::new();
        let id = match rows::get(&ops.store, harvester, number).await? {
            Some(w) => w.id,
            None => {
                let id = ops.store.id(IdKind::Row).await?;
                rows::add(&mut batch, id, harvester, number, Some(queue), WorkerState::Running.as_str(), now);
                id
            }
        };
        rows::pilot(&mut batch, id, None, node.map(|n| cut(n, 128)), Some(queue), now);
        jobs.iter().for_each(|job| rows::relate(&mut batch, id, *job));
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(()),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::Internal(format!("worker {number} of {harvester} changes all the time")))
}

/// `update_worker_node`: the description of a machine, whole; true when it was not known before.
pub async fn node(ops: &Ops, who: &Principal, site: &str, host: &str, description: &Map<String, Value>) -> Result<bool, OpsError> {
    table::allowed(Right::PilotReport, Some(who), None)?;
    let host = machine(site, host)?;
    let known = rows::node(&ops.store, site, host).await?;
    let mut batch = Batch::new();
    rows::set_node(&mut batch, site, host, &doc(description), ops.now().0);
    ops.store.apply(batch).await?;
    Ok(known.and_then(|(doc, _)| doc).is_none())
}

/// `update_worker_node_gpu`: one kind of accelerator of a machine, by vendor and model; true when it was not known before.
pub async fn node_gpu(ops: &Ops, who: &Principal, site: &str, host: &str, gpu: &Map<String, Value>) -> Result<bool, OpsError> {
    table::allowed(Right::PilotReport, Some(who), None)?;
    let host = machine(site, host)?;
    let known = rows::node(&ops.store, site, host).await?.and_then(|(_, gpu)| gpu).unwrap_or_default();
    let mut list: Vec<Value> = serde_json::from_str(&known).unwrap_or_default();
    let same = |g: &Value| ["vendor", "model"].iter().all(|k| g.get(*k) == gpu.get(*k));
    let before = list.iter().position(same);
    match before {
        Some(at) => list[at] = Value::Object(gpu.clone()),
        None if list.len() >= MAX_GPUS => {
            return Err(OpsError::refused(format!("machine {host} has {MAX_GPUS} kinds of accelerators already")));
        }
        None => list.push(Value::Object(gpu.clone())),
    }
    let mut batch = Batch::new();
    rows::set_node_gpu(&mut batch, site, host, &Value::Array(list).to_string(), ops.now().0);
    ops.store.apply(batch).await?;
    Ok(before.is_none())
}

fn doc(map: &Map<String, Value>) -> String {
    let told: Map<String, Value> = map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    Value::Object(told).to_string()
}

/// The machine's name: a slot of HTCondor (`slot1_2@host`) is no machine of its own.
fn machine<'h>(site: &str, host: &'h str) -> Result<&'h str, OpsError> {
    named("site", site)?;
    let host = host.rsplit('@').next().unwrap_or(host);
    named("host_name", host)?;
    Ok(host)
}

fn named(key: &str, value: &str) -> Result<(), OpsError> {
    if value.is_empty() || value.len() > MAX_NAME {
        return Err(OpsError::refused(format!("{key} must have 1 to {MAX_NAME} characters")));
    }
    Ok(())
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, pilot};
    use serde_json::json;

    #[tokio::test]
    async fn workers_start_and_end() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let say = |status: &str| Status { harvester: "h".into(), number: 7, status: status.into(), site: Some("LOCAL".into()), node: None };
        assert!(matches!(status(&w.ops, &alice(), &say("started")).await, Err(OpsError::Denied(_))));
        assert!(status(&w.ops, &pilot(), &say("odd")).await.unwrap_err().to_string().starts_with("Invalid worker state. "));
        let state = async || rows::get(&w.ops.store, "h", 7).await.unwrap().map(|w| (w.state, w.rev));
        for (word, want) in
            [("started", ("running", 0)), ("started", ("running", 0)), ("finished", ("finished", 1)), ("started", ("finished", 1))]
        {
            status(&w.ops, &pilot(), &say(word)).await.unwrap();
            assert_eq!(state().await, Some((want.0.to_owned(), want.1)));
        }
        assert_eq!(crate::pilot::seen::last(&w.ops, q).await.unwrap(), Some(crate::testing::START_US));
    }

    #[tokio::test]
    async fn machines_are_merged() {
        let w = World::new().await;
        let map = |v: Value| v.as_object().cloned().unwrap();
        assert!(node(&w.ops, &pilot(), "S", "slot1@n1", &map(json!({"cpu_model": "x", "n_sockets": null}))).await.unwrap());
        assert!(!node(&w.ops, &pilot(), "S", "n1", &map(json!({"cpu_model": "y"}))).await.unwrap());
        let a = map(json!({"vendor": "N", "model": "A", "count": 1}));
        assert!(node_gpu(&w.ops, &pilot(), "S", "n1", &a).await.unwrap());
        assert!(!node_gpu(&w.ops, &pilot(), "S", "n1", &map(json!({"vendor": "N", "model": "A", "count": 2}))).await.unwrap());
        assert!(node_gpu(&w.ops, &pilot(), "S", "n1", &map(json!({"vendor": "N", "model": "B", "count": 1}))).await.unwrap());
        let (doc, gpu) = rows::node(&w.ops.store, "S", "n1").await.unwrap().unwrap();
        assert_eq!(doc.as_deref(), Some(r#"{"cpu_model":"y"}"#));
        let gpu: Value = serde_json::from_str(&gpu.unwrap()).unwrap();
        assert_eq!(gpu, json!([{"vendor": "N", "model": "A", "count": 2}, {"vendor": "N", "model": "B", "count": 1}]));
        assert!(node(&w.ops, &pilot(), "", "n1", &a).await.is_err());
    }
}

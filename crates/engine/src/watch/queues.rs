//! What rules about jobs need of queues.

use std::collections::HashMap;

use panda_core::{id::QueueId, job::timers, queue::QueueState, time::Micros};
use panda_ops::{Ops, pilot::seen};
use panda_store::MAX_IN_LIST;
use serde_json::Value;

use crate::EngineError;

/// What time limits need of a queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Its state; none = it is gone.
    pub(super) state: Option<QueueState>,
    /// `workflow` of its document.
    pub(super) workflow: String,
    /// Whether it keeps what it was given (`disable_reassign`).
    pub(super) keeps: bool,
    /// When a job was last handed out.
    pub(super) last_start: Option<Micros>,
}

/// Facts of queues, read once a step.
#[derive(Default)]
pub(super) struct Queues(HashMap<QueueId, Facts>);

impl Queues {
    /// Facts of one; nothing is known of one that is gone.
    pub(super) async fn facts(&mut self, ops: &Ops, id: QueueId) -> Result<Facts, EngineError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let mut facts = Facts::default();
        if let Some(q) = ops.queues().await?.by_id.get(&id) {
            let doc: Value = serde_json::from_str(&q.doc).unwrap_or_default();
            facts.state = QueueState::parse(&q.state).ok();
            facts.workflow = doc["workflow"].as_str().unwrap_or_default().to_owned();
            let catchall = doc["catchall"].as_str().unwrap_or_default();
            facts.keeps = doc["disable_reassign"] == true || catchall.split([',', '|']).any(|w| w.trim() == "disableReassign");
            facts.last_start = seen::last_start(ops, id).await?.map(Micros);
        }
        self.0.insert(id, facts.clone());
        Ok(facts)
    }
    /// Ids of queues at which nothing has started for so long, or that are not in use (at most 1,000; the watch comes by again).
    pub(super) async fn dead(&mut self, ops: &Ops, idle_s: i64, now: Micros) -> Result<Vec<i64>, EngineError> {
        let mut ids: Vec<QueueId> = ops.queues().await?.by_id.keys().copied().collect();
        ids.sort_unstable();
        let mut dead = Vec::new();
        for id in ids {
            let facts = self.facts(ops, id).await?;
            if facts.state.is_some_and(|s| timers::is_dead(s, facts.last_start, now, idle_s)) {
                dead.push(id.0);
            }
        }
        dead.truncate(MAX_IN_LIST);
        Ok(dead)
    }
}

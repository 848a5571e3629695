//! Where jobs of a turn go: queues drawn from the broker's choice, each with its lane, library and the part of the document that its jobs share.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{id::LaneId, policy::split::limits::Site, queue::resource_type};
use panda_store::query::queue::{QueueRow, RseRow};
use serde_json::Value;

use super::{
    broker::{self, Choice},
    job::{SHARE, Setting},
    turn::Turn,
};
use crate::EngineError;

/// A queue with jobs of one size of memory.
#[derive(Debug)]
pub struct Place {
    /// The queue.
    pub queue: Arc<QueueRow>,
    /// Its storage.
    pub rse: Arc<RseRow>,
    /// What it can do.
    pub site: Site,
    /// Jobs for it before another is drawn, when it says so.
    pub jobs_a_draw: Option<usize>,
    /// Memory of its jobs, MB.
    pub ram_mb: i64,
    /// Lane of its jobs.
    pub lane: LaneId,
}

/// The broker's choices of a turn, by the memory that rows need.
#[derive(Debug)]
pub struct Places {
    choices: BTreeMap<i64, Choice>,
    /// Grows with the task's jobs, so that each turn draws anew and a repeated one draws the same.
    seed: i64,
}

impl Places {
    /// Nothing asked yet.
    pub fn new(seed: i64) -> Self {
        Self { choices: BTreeMap::new(), seed }
    }
    /// What was decided for the rows that need least.
    pub fn first(&self) -> Option<&Choice> {
        self.choices.values().next()
    }
    /// A choice that left no queue.
    pub fn held(&self) -> Option<&Choice> {
        self.choices.values().find(|c| c.decision.chosen().is_none())
    }
    /// The queue of the next jobs, which need `ram_mb` beyond the task's memory (0 = the task's): an index into the turn's places; none when no
    /// queue can take them.
    pub async fn draw(&mut self, turn: &mut Turn<'_>, ram_mb: i64) -> Result<Option<usize>, EngineError> {
        let plan = &turn.refined.plan;
        let choice = match self.choices.entry(ram_mb) {
            std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(broker::choose(turn.ops, turn.t, plan, input_mb(turn), ram_mb, self.seed).await?)
            }
        };
        let Some(drawn) = choice.draw() else { return Ok(None) };
        let ram_mb = plan.ram_mb.max(ram_mb);
        if let Some(at) = turn.places.iter().position(|p| p.queue.id == drawn.id && p.ram_mb == ram_mb) {
            return Ok(Some(at));
        }
        let queues = turn.ops.queues().await?;
        let missing = || EngineError::Internal(format!("queue {} or its storage endpoint vanished", drawn.name));
        let queue = queues.by_id.get(&drawn.id).ok_or_else(missing)?;
        let lane = turn.ops.lane(queue.id, resource_type(plan.cores, ram_mb), &turn.t.label, SHARE, ram_mb).await?;
        let doc: Value = serde_json::from_str(&queue.doc).unwrap_or_default();
        turn.places.push(Place {
            queue: queue.clone(),
            rse: queues.rses.get(&queue.rse_id).ok_or_else(missing)?.clone(),
            site: broker::site(&drawn, &choice.needs),
            jobs_a_draw: doc.get("job_chunk_size").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
            ram_mb,
            lane,
        });
        Ok(Some(turn.places.len() - 1))
    }
}

/// Input of a job, MB, when the number of its files is known beforehand: the first so many.
fn input_mb(turn: &Turn<'_>) -> i64 {
    let bytes: i64 = match turn.refined.plan.limits.files {
        Some(n) => turn.files.iter().take(n).filter_map(|f| f.fsize).sum(),
        None => 0,
    };
    bytes / 1_000_000
}

impl Turn<'_> {
    /// What the jobs of a place have in common.
    pub fn setting<'s>(&'s self, place: &'s Place) -> Setting<'s> {
        Setting {
            task: self.t,
            params: &self.refined.params,
            plan: &self.refined.plan,
            datasets: &self.datasets,
            queue: &place.queue,
            rse: &place.rse,
            owner: &self.owner,
            base_url: &self.ops.options.base_url,
            ram_mb: place.ram_mb,
            now_us: self.now.0,
        }
    }
}

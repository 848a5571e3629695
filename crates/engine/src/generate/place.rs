//! Where jobs of a turn go: queues drawn from the broker's choice, each with its lane, library and the part of the document that its jobs share.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{id::LaneId, policy::split::limits::Site};
use panda_store::query::queue::{QueueRow, RseRow};
use serde_json::Value;

use super::{
    broker::{self, Choice},
    job::{self, Setting},
    turn::Turn,
};
use crate::{EngineError, plan::Refined};

/// A queue with jobs of one size of memory.
#[derive(Debug)]
pub struct Place {
    /// The queue.
    pub queue: Arc<QueueRow>,
    /// Its storage.
    pub rse: Arc<RseRow>,
    /// The endpoint that the task's outputs go to.
    pub out: String,
    /// What it can do.
    pub site: Site,
    /// Jobs for it before another is drawn, when it says so.
    pub jobs_a_draw: Option<usize>,
    /// The task with the memory of these jobs.
    pub refined: Arc<Refined>,
    /// Lane of its jobs.
    pub lane: LaneId,
    /// Seconds of the longest of its jobs; 0 = not known.
    pub walltime_s: i64,
    /// Scratch space of the largest of its jobs, MB: work files, input that is copied, output as far as it is known.
    pub disk_mb: i64,
}

/// The broker's choices of a turn, by the memory that rows need.
#[derive(Debug)]
pub struct Places {
    choices: BTreeMap<i64, (Choice, Arc<Refined>)>,
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
        self.choices.values().next().map(|c| &c.0)
    }
    /// A choice that left no queue.
    pub fn held(&self) -> Option<&Choice> {
        self.choices.values().map(|c| &c.0).find(|c| c.is_none())
    }
    /// The queue of the next jobs, whose files need so much memory (MB in the task's unit, no less than the task's): an index into the turn's places;
    /// none when no queue can take them.
    pub async fn draw(&mut self, turn: &mut Turn<'_>, ram_mb: i64) -> Result<Option<usize>, EngineError> {
        let (choice, refined) = match self.choices.entry(ram_mb) {
            std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let refined = turn.refined.clone().with_memory(ram_mb);
                let choice = broker::choose(turn.ops, turn.t, &refined.plan, input_mb(turn), self.seed).await?;
                new.insert((choice, refined))
            }
        };
        let Some(drawn) = choice.draw() else { return Ok(None) };
        let plan = &refined.plan;
        if let Some(at) = turn.places.iter().position(|p| p.queue.id == drawn.id && p.refined.plan.ram_mb == plan.ram_mb) {
            return Ok(Some(at));
        }
        let queues = turn.ops.queues().await?;
        let missing = || EngineError::Internal(format!("queue {} or its storage endpoint vanished", drawn.name));
        let queue = queues.by_id.get(&drawn.id).ok_or_else(missing)?;
        let lane = job::lane(turn.ops, turn.t, &turn.types, queue.id, &turn.t.label, (plan.cores, plan.ram_mb)).await?;
        let doc: Value = serde_json::from_str(&queue.doc).unwrap_or_default();
        let rse = queues.rses.get(&queue.rse_id).ok_or_else(missing)?.clone();
        turn.places.push(Place {
            queue: queue.clone(),
            out: drawn.output_at(turn.t.nucleus.as_deref()).unwrap_or(&rse.name).to_owned(),
            rse,
            site: broker::site(&drawn, &choice.needs),
            jobs_a_draw: doc.get("job_chunk_size").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
            refined: refined.clone(),
            lane,
            walltime_s: plan.walltime_s,
            disk_mb: plan.disk_mb,
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
            plan: &place.refined.plan,
            datasets: &self.datasets,
            queue: &place.queue,
            rse: &place.rse,
            out: &place.out,
            owner: &self.owner,
            standing: self.standing,
            walltime_s: place.walltime_s,
            disk_mb: place.disk_mb,
            scouts: self.scouts,
            types: &self.types,
            base_url: &self.ops.options.base_url,
            now_us: self.now.0,
        }
    }
}

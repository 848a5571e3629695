//! Which queue the next jobs of a task go to: what they need, the choice, and its record.

use std::sync::Arc;

use panda_core::{
    machine::Actor,
    policy::{
        broker::{Decision, Needs},
        split::limits::Site,
    },
    queue::Queue,
    setting::broker::MOVED_S,
    task::state::TaskState,
    time::{Micros, SplitMix64},
};
use panda_ops::{
    Ops,
    broker::{
        Ask, Broker, locality, needs,
        record::{self, Last, STAGE},
    },
    queue::Snapshot,
    task::plan::Plan,
};
use panda_store::{
    Batch,
    query::task::{TaskRow, moved},
};

use super::plugin;
use crate::{EngineError, Report};

/// What a queue can do, as far as it limits how a task is split.
#[must_use]
pub fn site(queue: &Queue, needs: &Needs) -> Site {
    Site {
        max_workdir_mb: queue.max_workdir_mb,
        max_time_s: queue.max_time_s,
        cores: needs.cores_at(queue),
        core_power_milli: queue.core_power_milli,
        direct_io: queue.direct_io && !needs.copies_input,
    }
}

/// A choice with what its record builds on.
#[derive(Debug)]
pub struct Choice {
    /// What was asked for.
    pub needs: Needs,
    /// The decision.
    pub decision: Decision,
    /// Queues as they were when it was made.
    queues: Arc<Snapshot>,
    /// Draws after the first.
    random: SplitMix64,
    drawn: bool,
    last: Last,
    /// Why the plug-in of VO and label has not chosen, and whether it is only slow.
    waits: Option<(String, bool)>,
}

impl Choice {
    /// Whether it leaves no queue.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.waits.is_some() || self.decision.chosen().is_none()
    }
    /// One sentence: why there is no queue, and the first thing that would free it.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Some((reason, _)) = &self.waits {
            return reason.clone();
        }
        let frees = self.decision.frees.first().map(|f| format!("; {}", f.sentence())).unwrap_or_default();
        format!("{}{frees}", self.decision.sentence())
    }
    /// The queue for the next jobs, if there is any: drawn by weight among those that are kept (`spec/engine.md` section 6.1).
    pub fn draw(&mut self) -> Option<Arc<Queue>> {
        if self.waits.is_some() {
            return None;
        }
        let first = !std::mem::replace(&mut self.drawn, true);
        let name = if first { self.decision.chosen() } else { self.decision.draw(&mut self.random) };
        name.and_then(|name| self.queues.facts.iter().find(|q| q.name == name)).cloned()
    }
}

/// Runs the broker for the next jobs of a task. `seed` tells rounds of one task apart (a number that grows with its jobs), so that each
/// round draws anew and a repeated one draws the same.
pub async fn choose(ops: &Ops, t: &TaskRow, plan: &Plan, input_mb: i64, seed: i64) -> Result<Choice, EngineError> {
    let broker = Broker::new(ops).await?;
    let mut needs = broker.complete(needs::of(t, plan, &*ops.resource_types().await?, input_mb));
    // A task that never had jobs and was never held has neither a record nor queues to avoid.
    let is_new = t.started_us.is_none() && t.reason.is_none();
    let last = if is_new { Last::default() } else { record::last(&ops.store, t.id.0, STAGE).await? };
    if !is_new {
        let span = broker.settings().int(&MOVED_S, &t.vo, &t.label).saturating_mul(1_000_000);
        let moved = moved::list(&ops.store, t.id, ops.now().0 - span).await?;
        needs.moved = moved.into_iter().map(|(queue, reason, _)| (queue, reason)).collect();
    }
    let input = locality::of(ops, &t.vo, &needs::inputs(plan)).await?;
    #[expect(clippy::cast_sign_loss, reason = "numbers of rows, mixed to a seed")]
    let seed = (t.id.0 as u64).rotate_left(20) ^ seed as u64;
    let mut decision = broker.decide(&Ask { needs: &needs, input: input.as_ref(), used: &last.used, seed });
    let waits = plugin::prefer(ops, t, plan, &needs, &mut decision, &mut SplitMix64::new(seed.rotate_left(7))).await?;
    Ok(Choice { needs, decision, queues: broker.snapshot().clone(), random: SplitMix64::new(!seed), drawn: false, last, waits })
}

/// Writes the choice as the latest record of its task.
pub async fn record(ops: &Ops, batch: &mut Batch, t: &TaskRow, choice: &Choice, now_us: i64) -> Result<(), EngineError> {
    let waits = choice.waits.as_ref().map(|(reason, _)| reason.as_str());
    Ok(record::write(&ops.store, batch, t.id.0, &choice.decision, waits, &choice.last, now_us).await?)
}

/// Puts a task on hold that no queue can take.
pub async fn hold(ops: &Ops, t: &TaskRow, choice: &Choice, now: Micros) -> Result<Report, EngineError> {
    let reason = choice.sentence();
    let mut batch = Batch::new();
    record(ops, &mut batch, t, choice, now.0).await?;
    if choice.waits.as_ref().is_some_and(|(_, is_slow)| *is_slow) {
        // The answer wakes the loop.
        ops.store.apply(batch).await?;
        return Ok(Report::default());
    }
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.clone()), ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&reason)).await?;
    ops.store.apply(batch).await?;
    Ok(Report { done: 1, more: false })
}

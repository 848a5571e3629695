//! Which queue the next jobs of a task go to: what they need, the choice, and its record.

use std::sync::Arc;

use panda_core::{
    machine::Actor,
    policy::{
        broker::{Decision, Needs, Work},
        resource::Types,
        split::limits::{Cpu, Site},
    },
    queue::{
        Queue,
        hardware::{CpuNeed, GpuNeed},
    },
    setting::broker::MOVED_S,
    task::state::TaskState,
    time::{Micros, SplitMix64},
};
use panda_ops::{
    Ops,
    broker::{
        Ask, Broker, locality,
        record::{self, Last, STAGE},
    },
    queue::Snapshot,
    task::plan::Plan,
};
use panda_store::{
    Batch,
    query::task::{TaskRow, moved},
};

use crate::{EngineError, Report};

/// What a task's jobs need of a queue; `input_mb` is what one of them is expected to copy.
#[must_use]
pub fn needs(t: &TaskRow, plan: &Plan, types: &Types, input_mb: i64) -> Needs {
    let r = &plan.needs;
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    Needs {
        vo: t.vo.clone(),
        label: t.label.clone(),
        share: t.share_name.clone().unwrap_or_default(),
        working_group: t.working_group.clone().unwrap_or_default(),
        processing_type: t.processing_type.clone().unwrap_or_default(),
        person: t.person_id,
        only: plan.sites.clone(),
        never: plan.not_sites.clone(),
        cloud: given(&r.cloud),
        resource_type: types.of(plan.cores, plan.ram_mb).to_owned(),
        cores: plan.cores,
        max_cores: r.max_cores,
        ram: r.ram,
        disk_mb: plan.disk_mb,
        input_mb,
        copies_input: r.copies_input,
        walltime_s: plan.walltime_s,
        work: work(plan),
        gpu: r.hardware.gpu.as_ref().map(|g| GpuNeed {
            count: g.count,
            vendor: g.vendor.clone(),
            model: g.model.clone(),
            memory_mb: g.memory_mb,
            framework: g.framework.clone(),
            version: g.version.clone(),
        }),
        cpus: r.hardware.cpus.iter().map(|c| CpuNeed { arch: c.arch.clone(), vendor: c.vendor.clone(), instr: c.instr.clone() }).collect(),
        platform: given(&r.hardware.platform),
        same_os: r.same_os,
        system: given(&r.hardware.base_platform),
        software: [given(&r.release), given(&r.package)].into_iter().flatten().collect(),
        image: plan.container.clone(),
        only_tags: r.only_tags,
        connectivity: given(&r.connectivity),
        ip_version: r.ip_version,
        no_virtual: r.no_virtual_placement,
        io_kb_s: r.io_kb_s,
        nucleus: t.nucleus.clone(),
        native: plan.needs_native,
        ..Needs::default()
    }
}

/// CPU time of a job whose number of events is known beforehand; of others, splitting sees to it that jobs fit the queue.
fn work(plan: &Plan) -> Work {
    let (Cpu::PerEvent(ms), Some(events)) = (plan.estimate.cpu, plan.limits.events) else { return Work::default() };
    Work { cpu_s: ms.saturating_mul(events) / 1_000, base_s: plan.estimate.base_walltime_s, efficiency: plan.estimate.cpu_efficiency }
}

/// Data sets that jobs read.
#[must_use]
pub fn inputs(plan: &Plan) -> Vec<String> {
    plan.inputs.iter().flat_map(|i| i.datasets.iter().cloned()).collect()
}

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
}

impl Choice {
    /// One sentence: why there is no queue, and the first thing that would free it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let frees = self.decision.frees.first().map(|f| format!("; {}", f.sentence())).unwrap_or_default();
        format!("{}{frees}", self.decision.sentence())
    }
    /// The queue for the next jobs, if there is any: drawn by weight among those that are kept (`spec/engine.md` section 6.1).
    pub fn draw(&mut self) -> Option<Arc<Queue>> {
        let first = !std::mem::replace(&mut self.drawn, true);
        let name = if first { self.decision.chosen() } else { self.decision.draw(&mut self.random) };
        name.and_then(|name| self.queues.facts.iter().find(|q| q.name == name)).cloned()
    }
}

/// Runs the broker for the next jobs of a task. `seed` tells rounds of one task apart (a number that grows with its jobs), so that each
/// round draws anew and a repeated one draws the same.
pub async fn choose(ops: &Ops, t: &TaskRow, plan: &Plan, input_mb: i64, seed: i64) -> Result<Choice, EngineError> {
    let broker = Broker::new(ops).await?;
    let mut needs = broker.complete(needs(t, plan, &*ops.resource_types().await?, input_mb));
    // A task that never had jobs and was never held has neither a record nor queues to avoid.
    let is_new = t.started_us.is_none() && t.reason.is_none();
    let last = if is_new { Last::default() } else { record::last(&ops.store, t.id.0, STAGE).await? };
    if !is_new {
        let span = broker.settings().int(&MOVED_S, &t.vo, &t.label).saturating_mul(1_000_000);
        let moved = moved::list(&ops.store, t.id, ops.now().0 - span).await?;
        needs.moved = moved.into_iter().map(|(queue, reason, _)| (queue, reason)).collect();
    }
    let input = locality::of(ops, &t.vo, &inputs(plan)).await?;
    #[expect(clippy::cast_sign_loss, reason = "numbers of rows, mixed to a seed")]
    let seed = (t.id.0 as u64).rotate_left(20) ^ seed as u64;
    let decision = broker.decide(&Ask { needs: &needs, input: input.as_ref(), used: &last.used, seed });
    Ok(Choice { needs, decision, queues: broker.snapshot().clone(), random: SplitMix64::new(!seed), drawn: false, last })
}

/// Writes the choice as the latest record of its task.
pub async fn record(ops: &Ops, batch: &mut Batch, t: &TaskRow, choice: &Choice, now_us: i64) -> Result<(), EngineError> {
    Ok(record::write(&ops.store, batch, t.id.0, &choice.decision, &choice.last, now_us).await?)
}

/// Puts a task on hold that no queue can take.
pub async fn hold(ops: &Ops, t: &TaskRow, choice: &Choice, now: Micros) -> Result<Report, EngineError> {
    let reason = choice.sentence();
    let mut batch = Batch::new();
    record(ops, &mut batch, t, choice, now.0).await?;
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.clone()), ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&reason)).await?;
    ops.store.apply(batch).await?;
    Ok(Report { done: 1, more: false })
}

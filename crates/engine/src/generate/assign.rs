//! Where a task keeps its outputs: one in `assigning` gets a nucleus before its next jobs are made (`spec/engine.md` sections 5.8 and 8.4).

use panda_core::{
    id::TaskId,
    machine::Actor,
    policy::nucleus::{Ask, Decision},
    setting::nucleus::CHOOSE,
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    broker::{
        Broker, locality, needs,
        nucleus::{self, Backlog, STAGE},
        record,
    },
};
use panda_store::{
    Batch, Topic,
    query::task::{self, TaskRow},
};

use crate::{EngineError, Report, loops::TASKS_A_STEP, plan};

/// One step: at most [`TASKS_A_STEP`] tasks.
pub async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let tasks = task::list::in_states(&ops.store, &[TaskState::Assigning], TaskId(0), TASKS_A_STEP).await?;
    if tasks.is_empty() {
        return Ok(Report::default());
    }
    let (broker, mut backlog) = (Broker::new(ops).await?, nucleus::backlog(&ops.store).await?);
    let mut report = Report { done: 0, more: i64::try_from(tasks.len()).is_ok_and(|n| n == TASKS_A_STEP) };
    for t in &tasks {
        match one(ops, &broker, &mut backlog, t, now).await {
            Ok(()) => report.done += 1,
            Err(e) if e.is_conflict() => report.more = true,
            Err(e) => tracing::error!(task = %t.id, "choosing a nucleus: {e}"),
        }
    }
    report.more &= report.done > 0;
    Ok(report)
}

/// Chooses for one task, writes the decision, and moves it on in the same batch.
async fn one(ops: &Ops, broker: &Broker, backlog: &mut Backlog, t: &TaskRow, now: Micros) -> Result<(), EngineError> {
    let refined = plan::of(ops, t).await?;
    let plan = &refined.plan;
    let wants = broker.complete(needs::of(t, plan, &*ops.resource_types().await?, 0));
    let input = locality::of(ops, &t.vo, &needs::inputs(plan)).await?;
    let since = t.frozen_us.unwrap_or(t.state_us).min(t.state_us);
    let ask =
        Ask { input: input.as_ref(), io_kb_s: plan.needs.io_kb_s, priority: t.priority, waited_s: now.0.saturating_sub(since) / 1_000_000 };
    #[expect(clippy::cast_sign_loss, reason = "a number of a row and its revision, mixed to a seed")]
    let seed = (t.id.0 as u64).rotate_left(20) ^ t.rev as u64;
    let decision = nucleus::choose(broker, &wants, &ask, backlog, seed);
    let is_asked = plan.needs.asks_nucleus() || broker.settings().flag(&CHOOSE, &t.vo, &t.label);
    let (after, reason) = next(t, &decision, is_asked);
    let last = record::last(&ops.store, t.id.0, STAGE).await?;
    let mut batch = Batch::new();
    record::keep(&ops.store, &mut batch, t.id.0, STAGE, &nucleus::document(&decision), &last, now.0).await?;
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(&reason)).await?;
    // There may be nothing new to run: then it is at its end at once.
    batch.wake(Topic::Files).wake(Topic::Ended);
    ops.store.apply(batch).await?;
    if let Some(name) = decision.chosen {
        let files: i64 = task::dataset::of_task(&ops.store, t.id).await?.iter().filter(|d| d.is_master).map(|d| d.n_files).sum();
        *backlog.entry(name).or_default() += files;
    }
    Ok(())
}

/// The task as it goes on, and why: with its nucleus; on hold, when one is asked for and none fits; without one, when nobody asks.
fn next(t: &TaskRow, decision: &Decision, is_asked: bool) -> (TaskRow, String) {
    let sentence = decision.sentence();
    if decision.chosen.is_some() {
        let after = TaskRow { state: TaskState::Ready, prev_state: None, nucleus: decision.chosen.clone(), reason: None, ..t.clone() };
        return (after, sentence);
    }
    if is_asked {
        let frees = decision.frees().into_iter().next().map(|f| format!("; {f}")).unwrap_or_default();
        let reason = format!("{sentence}{frees}");
        let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.clone()), ..t.clone() };
        return (after, reason);
    }
    let after = TaskRow { state: TaskState::Ready, prev_state: None, nucleus: None, reason: None, ..t.clone() };
    (after, format!("its outputs stay where they are made, since no nucleus is asked for any more and {sentence}"))
}

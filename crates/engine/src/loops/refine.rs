//! Gives submitted tasks their data sets and files: registered → defined → ready; and lists inputs again that may have grown.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use panda_core::{id::TaskId, task::state::TaskState, time::Micros};
use panda_ops::Ops;
use panda_store::query::task;

use super::TASKS_A_STEP;
use crate::{
    EngineError, Report,
    feed::{self, Fed},
};

/// Tasks looked at at the same time: their batches share commits.
const AT_ONCE: usize = 32;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    let states = [TaskState::Registered, TaskState::Rerefine, TaskState::Defined];
    let mut done = BTreeSet::new();
    loop {
        let tasks = task::list::in_states(&ops.store, &states, after, TASKS_A_STEP).await?;
        let Some(last) = tasks.last() else { break };
        after = last.id;
        done.extend(tasks.iter().map(|t| t.id));
        let work = tasks.into_iter().map(|t| async move { (t.id, feed::refine(ops, &t, now).await) });
        run(&mut report, work).await;
    }
    // Inputs that are due: large ones under way, those that may grow, those that are waited for.
    let due = task::dataset::to_look(&ops.store, now.0, TASKS_A_STEP).await?;
    let due: BTreeSet<TaskId> = due.into_iter().map(|(id, _)| id).filter(|id| !done.contains(id)).collect();
    run(&mut report, due.into_iter().map(|id| async move { (id, feed::look(ops, id, now).await) })).await;
    Ok(report)
}

async fn run<F: Future<Output = (TaskId, Result<Fed, EngineError>)>>(report: &mut Report, work: impl Iterator<Item = F>) {
    let mut work = stream::iter(work).buffer_unordered(AT_ONCE);
    while let Some((id, fed)) = work.next().await {
        match fed {
            Ok(fed) => report.add(Report { done: usize::from(fed.changed), more: fed.more }),
            Err(e) if e.is_conflict() => report.more = true,
            Err(e) => tracing::error!(task = %id, "refining: {e}"),
        }
    }
}

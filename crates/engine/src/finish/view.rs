//! What the end of a task is decided on, and how far it is from it (`spec/engine.md` section 5.6).

use panda_core::task::finish::{FinishView, Parent};
use panda_ops::{Ops, task::plan::Plan};
use panda_store::query::{
    archive,
    task::{TaskRow, dataset::TaskDataset},
};

use crate::EngineError;

/// The state of a task's parent, as far as the task minds it.
pub async fn parent(ops: &Ops, t: &TaskRow, minds: bool) -> Result<Parent, EngineError> {
    Ok(match t.parent_id.filter(|_| minds) {
        Some(id) => archive::task::find(&ops.store, id).await?.map_or(Parent::None, |p| Parent::of(p.state)),
        None => Parent::None,
    })
}

/// The view of a task with these data sets.
#[must_use]
pub fn of(t: &TaskRow, datasets: &[TaskDataset], plan: &Plan, parent: Parent) -> FinishView {
    let masters = || datasets.iter().filter(|d| d.is_master);
    let sum = |of: fn(&TaskDataset) -> i64| masters().map(of).sum::<i64>();
    FinishView {
        state: t.state,
        files: sum(|d| d.n_files),
        files_finished: sum(|d| d.n_finished),
        events: sum(|d| d.n_events),
        events_finished: sum(|d| d.n_events_finished),
        parent,
        mutable_input: masters().any(|d| d.is_open),
        allow_empty: plan.feed.allow_empty,
        goal: plan.behaviour.goal_permille,
        use_exhausted: plan.behaviour.may_exhaust,
        fail_goal_unreached: plan.behaviour.fail_below_goal,
        hpo_with_results: false,
    }
}

//! What an end had closed and a retry opens again: data sets, share and priority, the goal.

use panda_core::task::finish::{Parent, completeness};
use panda_ops::{
    Ops,
    task::{plan::Adjust, rank},
};
use panda_store::{
    Batch,
    query::{
        dataset,
        task::{self, TaskRow, dataset::TaskDataset},
    },
};

use crate::{
    EngineError,
    finish::{catalogue::plain_name, view},
    plan,
};

/// Opens or closes the data sets of the catalogue that a task fills.
pub fn outputs(batch: &mut Batch, t: &TaskRow, datasets: &[TaskDataset], state: &str) {
    for d in datasets.iter().filter(|d| d.role.is_output() && !d.role.is_pre_merge()) {
        dataset::set_state_named(batch, &t.vo, plain_name(&d.name), state);
    }
}

/// The data sets of a task are as before its end. What counts them follows in the batch.
pub fn reopen(batch: &mut Batch, t: &TaskRow, datasets: &[TaskDataset]) {
    task::dataset::reopen(batch, t.id);
    outputs(batch, t, datasets, "open");
}

/// Share and priority as at submission. Parameters that make no sense change nothing: whoever reads them next tells what is wrong.
pub async fn rank(ops: &Ops, t: &mut TaskRow) -> Result<(), EngineError> {
    let refined = match plan::of(ops, t).await {
        Ok(refined) => refined,
        Err(EngineError::Internal(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let (share, priority) = rank::anew(ops, t, &refined.params, &refined.plan, &refined.adjust).await?;
    (t.share_name, t.priority) = (Some(share), priority);
    Ok(())
}

/// A task that has reached its goal and is retried goes beyond it.
pub async fn past_goal(ops: &Ops, batch: &mut Batch, t: &TaskRow, datasets: &[TaskDataset]) -> Result<(), EngineError> {
    let refined = plan::of(ops, t).await?;
    let reached = refined.plan.behaviour.goal_permille.is_some_and(|goal| {
        let view = view::of(t, datasets, &refined.plan, Parent::None);
        completeness(&view) >= goal
    });
    if reached && !refined.adjust.past_goal {
        let adjust = Adjust { past_goal: true, ..refined.adjust.clone() };
        task::transition::set_adjust(batch, t.id, &adjust.to_text());
    }
    Ok(())
}

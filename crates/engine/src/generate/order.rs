//! Whose turn it is to get jobs (`spec/engine.md` section 5.4).

use std::collections::HashMap;

use panda_core::{
    id::TaskId,
    policy::{
        share::UNDEFINED,
        turn::{self, Candidate},
    },
    setting::{
        ANY,
        dispatch::{EXPRESS_PERCENT, JUMP_OVER},
    },
    task::state::TaskState,
    time::Micros,
};
use panda_ops::Ops;
use panda_store::query::task;

use crate::EngineError;

/// Waiting tasks that are put into an order; those beyond them, with larger numbers, wait until some of these have their jobs.
const MAX_WAITING: i64 = 10_000;

/// The tasks that wait for jobs, in the order of their turns, each with the most jobs that its rows can become now.
pub async fn of_waiting(ops: &Ops, now: Micros) -> Result<Vec<(TaskId, usize)>, EngineError> {
    let waiting = task::list::waiting(&ops.store, TaskId(0), MAX_WAITING).await?;
    let settings = ops.settings().await?;
    let candidates: Vec<Candidate<'_>> = waiting
        .iter()
        .map(|w| Candidate {
            id: w.id,
            vo: &w.vo,
            share: w.share_name.as_deref().unwrap_or(UNDEFINED),
            group: w.person_id,
            priority: w.priority,
            express: w.priority >= settings.int(&JUMP_OVER, &w.vo, &w.label),
            // Merge jobs have a loop of their own, which nothing holds back.
            merges: false,
            scouting: w.state == TaskState::Scouting,
        })
        .collect();
    let percent = settings.int(&EXPRESS_PERCENT, ANY, ANY);
    // Successive rounds begin elsewhere; milliseconds are as good a number as any.
    let seed = usize::try_from(now.as_millis().unsigned_abs()).unwrap_or(0);
    let rows: HashMap<TaskId, usize> = waiting.iter().map(|w| (w.id, usize::try_from(w.rows).unwrap_or(0))).collect();
    let order = turn::order(&candidates, percent, seed, usize::MAX);
    Ok(order.into_iter().map(|id| (id, rows.get(&id).copied().unwrap_or(0))).collect())
}

//! Turns ready files into jobs: every task that wants some gets its turn, in the order that shares and priorities give.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, stream};
use panda_core::{id::TaskId, time::Micros};
use panda_ops::Ops;
use panda_store::query::task;

use crate::{
    EngineError, Report,
    generate::{
        assign, order,
        turn::{self, JOBS},
    },
};

/// Jobs of one step: a task that comes meanwhile waits for at most about so many.
const JOBS_A_STEP: usize = 4_000;
/// Tasks read at a time.
const TASKS: usize = 256;
/// Tasks at the same time: their batches share commits.
const AT_ONCE: usize = 32;
/// Windows of rows of a task's turn when nobody else waits.
const WINDOWS: usize = 8;

/// What is left of a step's jobs. Turns under way have taken what they may need at most.
struct Budget(AtomicUsize);

impl Budget {
    /// Takes so many, or what is left; nothing when all is taken.
    fn take(&self, wanted: usize) -> Option<usize> {
        let mut taken = None;
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            taken = Some(wanted.min(left)).filter(|n| *n > 0);
            taken.map(|n| left - n)
        });
        taken
    }
    fn give_back(&self, n: usize) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    // Who gets a nucleus now takes its turn in this step already.
    let mut report = assign::step(ops, now).await?;
    let order = order::of_waiting(ops, now).await?;
    let windows = (WINDOWS / order.len().max(1)).max(1);
    let budget = &Budget(AtomicUsize::new(JOBS_A_STEP));
    for part in order.chunks(TASKS) {
        if budget.is_spent() {
            report.more = true;
            break;
        }
        let ids: Vec<TaskId> = part.iter().map(|(id, _)| *id).collect();
        let places: HashMap<TaskId, (usize, usize)> = part.iter().enumerate().map(|(at, (id, rows))| (*id, (at, *rows))).collect();
        let place = |id: &TaskId| places.get(id).copied().unwrap_or((0, 0));
        let mut tasks = task::list::many(&ops.store, &ids).await?;
        tasks.sort_by_key(|t| place(&t.id).0);
        let turns = tasks.into_iter().map(|t| {
            let wanted = place(&t.id).1.clamp(1, JOBS);
            async move {
                // Nothing is left when it would be its turn: it comes in the next step.
                let Some(most) = budget.take(wanted) else { return (t.id, Ok(Report { done: 0, more: true })) };
                let made = turn::turn(ops, &t, windows, most, now).await;
                let done = made.as_ref().map_or(0, |r| r.done);
                budget.give_back(most.saturating_sub(done));
                (t.id, made)
            }
        });
        let mut turns = stream::iter(turns).buffer_unordered(AT_ONCE);
        while let Some((id, made)) = turns.next().await {
            match made {
                Ok(r) => report.add(r),
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %id, "generating jobs: {e}"),
            }
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_so_many_jobs() {
        let budget = Budget(AtomicUsize::new(10));
        assert_eq!((budget.take(4), budget.take(100), budget.take(1)), (Some(4), Some(6), None));
        assert!(budget.is_spent());
        budget.give_back(2);
        assert_eq!((budget.is_spent(), budget.take(2), budget.take(1)), (false, Some(2), None));
    }
}

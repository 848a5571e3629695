//! Turns ready files into jobs: every task that wants some gets its turn, in the order that shares and priorities give.

use futures::{StreamExt, stream};
use panda_core::time::Micros;
use panda_ops::Ops;
use panda_store::query::task;

use crate::{
    EngineError, Report,
    generate::{assign, order, turn},
};

/// Turns of one step that make jobs: a task that comes meanwhile waits for at most about so many.
const TURNS: usize = 64;
/// Tasks at the same time: their batches share commits.
const AT_ONCE: usize = 16;
/// Windows of rows of a task's turn when nobody else waits.
const WINDOWS: usize = 8;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    // Who gets a nucleus now takes its turn in this step already.
    let mut report = assign::step(ops, now).await?;
    let order = order::of_waiting(ops, now).await?;
    let windows = (WINDOWS / order.len().max(1)).max(1);
    let mut productive = 0;
    for ids in order.chunks(TURNS) {
        if productive >= TURNS {
            report.more = true;
            break;
        }
        let mut tasks = task::list::many(&ops.store, ids).await?;
        tasks.sort_by_key(|t| ids.iter().position(|id| *id == t.id));
        let turns = tasks.into_iter().map(|t| async move { (t.id, turn::turn(ops, &t, windows, now).await) });
        let mut turns = stream::iter(turns).buffer_unordered(AT_ONCE);
        while let Some((id, made)) = turns.next().await {
            match made {
                Ok(r) => {
                    productive += usize::from(r.done > 0);
                    report.add(r);
                }
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %id, "generating jobs: {e}"),
            }
        }
    }
    Ok(report)
}

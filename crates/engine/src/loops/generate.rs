//! Turns ready files into jobs: every task that wants some gets its turn, in the order that shares and priorities give.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use panda_core::{
    id::TaskId,
    policy::turn::{self, Candidate, EXPRESS_PERCENT},
    task::state::TaskState,
    time::Micros,
};
use panda_ops::Ops;
use panda_store::query::task;

use crate::{EngineError, Report, generate::turn as one};

/// Most tasks whose turn is decided on together.
const CANDIDATES: i64 = 10_000;
/// Turns of one step that make jobs: a task that comes meanwhile waits for at most about so many.
const TURNS: usize = 64;
/// Tasks at the same time: their batches share commits.
const AT_ONCE: usize = 16;
/// Windows of rows of a task's turn when nobody else waits.
const WINDOWS: usize = 8;
/// From this priority on a task is of high priority (`spec/engine.md` section 5.4).
const EXPRESS: i64 = 1_500;

/// Where the rounds over VOs and shares begin.
static ROUND: AtomicUsize = AtomicUsize::new(0);

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let waiting = task::list::waiting(&ops.store, TaskId(0), CANDIDATES).await?;
    let candidates: Vec<Candidate<'_>> = waiting
        .iter()
        .map(|w| Candidate {
            id: w.id,
            vo: &w.vo,
            share: w.share_name.as_deref().unwrap_or_default(),
            group: w.person_id,
            priority: w.priority,
            merges: false,
            scouting: w.state == TaskState::Scouting,
        })
        .collect();
    let seed = ROUND.fetch_add(1, Ordering::Relaxed);
    let order = turn::order(&candidates, EXPRESS, EXPRESS_PERCENT, seed, candidates.len());
    let windows = (WINDOWS / order.len().max(1)).max(1);
    let mut report = Report { done: 0, more: waiting.len() as i64 == CANDIDATES };
    let mut productive = 0;
    for ids in order.chunks(TURNS) {
        if productive >= TURNS {
            report.more = true;
            break;
        }
        let mut tasks = task::list::many(&ops.store, ids).await?;
        tasks.sort_by_key(|t| ids.iter().position(|id| *id == t.id));
        let turns = tasks.into_iter().map(|t| async move { (t.id, one::turn(ops, &t, windows, now).await) });
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

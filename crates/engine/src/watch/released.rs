//! Tasks on hold because a queue was held, drained or not online: they need not wait for the next look once it is back.

use std::collections::HashMap;

use panda_core::{id::TaskId, policy::broker::Criterion, queue::QueueState, task::state::TaskState};
use panda_ops::{
    Ops,
    broker::record::{self, STAGE},
    queue::Snapshot,
};
use panda_store::query::{decision, task::TaskRow};

use crate::EngineError;

/// Those of a page (at most 1,000) whose last brokerage, which put them on hold, left out a queue that is held no more, or online again, each with one sentence.
pub(super) async fn among(ops: &Ops, page: &[TaskRow]) -> Result<HashMap<TaskId, String>, EngineError> {
    let held = |t: &&TaskRow| t.state == TaskState::Pending && t.prev_state.is_some_and(TaskState::is_generating);
    let waiting: HashMap<i64, &TaskRow> = page.iter().filter(held).map(|t| (t.id.0, t)).collect();
    let mut found = HashMap::new();
    if waiting.is_empty() {
        return Ok(found);
    }
    let ids: Vec<i64> = waiting.keys().copied().collect();
    let mut queues = None;
    for (id, at_us, doc) in decision::of_stage(&ops.store, &ids, STAGE).await? {
        // An older record is not what put it on hold.
        let Some(t) = waiting.get(&id).filter(|t| at_us >= t.state_us) else { continue };
        let names = BACK.iter().flat_map(|why| record::left_out(&doc, *why).into_iter().map(|name| (*why, name)));
        for (why, name) in names {
            let queues = match &queues {
                Some(queues) => queues,
                // As they are now: the release may be a moment old.
                None => queues.insert(ops.queues_changed().await?),
            };
            if let Some(said) = back(queues, why, &name) {
                found.insert(t.id, said);
                break;
            }
        }
    }
    Ok(found)
}

/// What a queue comes back from by what somebody does.
const BACK: &[Criterion] = &[Criterion::Held, Criterion::Status];

/// One sentence when a queue that was left out for this reason is back.
fn back(queues: &Snapshot, why: Criterion, name: &str) -> Option<String> {
    let queue = queues.by_name.get(name)?;
    match why {
        Criterion::Held => queues.kept_from(queue.id).is_none().then(|| format!("queue {name} is not held any more")),
        _ => (queue.state == QueueState::Online.as_str()).then(|| format!("queue {name} is online again")),
    }
}

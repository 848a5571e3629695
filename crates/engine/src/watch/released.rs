//! Tasks on hold because a queue was held, drained or not online, or none would do: they need not wait for the next look once it is back, or one was
//! added or changed.

use std::collections::HashMap;

use panda_core::{id::TaskId, policy::broker::Criterion, queue::QueueState, task::state::TaskState};
use panda_ops::{
    Ops,
    broker::record::{self, STAGE},
    queue::Snapshot,
};
use panda_store::query::{decision, queue, task::TaskRow};

use crate::EngineError;

/// Those of a page (at most 1,000) whose last brokerage, which put them on hold, left out a queue that is held no more, or online again, or did not
/// know one as it is now; each with one sentence.
pub(super) async fn among(ops: &Ops, page: &[TaskRow]) -> Result<HashMap<TaskId, String>, EngineError> {
    let held = |t: &&TaskRow| t.state == TaskState::Pending && t.prev_state.is_some_and(TaskState::is_generating);
    let waiting: HashMap<i64, &TaskRow> = page.iter().filter(held).map(|t| (t.id.0, t)).collect();
    let mut found = HashMap::new();
    if waiting.is_empty() {
        return Ok(found);
    }
    let ids: Vec<i64> = waiting.keys().copied().collect();
    let mut records = decision::of_stage(&ops.store, &ids, STAGE).await?;
    // An older record is not what put it on hold.
    records.retain(|(id, at_us, _)| waiting.get(id).is_some_and(|t| *at_us >= t.state_us));
    let Some(oldest) = records.iter().map(|(_, at_us, _)| *at_us).min() else { return Ok(found) };
    // As they are now: the release may be a moment old.
    let queues = ops.queues_changed().await?;
    let changed = queue::changed(&ops.store, oldest).await?;
    for (id, at_us, doc) in records {
        let left_out = BACK.iter().flat_map(|why| record::left_out(&doc, *why).into_iter().map(|name| (*why, name)));
        let said = left_out.into_iter().find_map(|(why, name)| back(&queues, why, &name)).or_else(|| {
            let (name, _) = changed.iter().find(|(name, at)| *at > at_us && is_online(&queues, name))?;
            Some(format!("queue {name} was added or changed"))
        });
        if let Some(said) = said {
            found.insert(TaskId(id), said);
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
        _ => is_online(queues, name).then(|| format!("queue {name} is online again")),
    }
}

fn is_online(queues: &Snapshot, name: &str) -> bool {
    queues.by_name.get(name).is_some_and(|q| q.state == QueueState::Online.as_str())
}

//! Tasks on hold because a queue was held or drained: they need not wait for the next look once it is free.

use std::collections::HashMap;

use panda_core::{id::TaskId, task::state::TaskState};
use panda_ops::{
    Ops,
    broker::record::{self, STAGE},
};
use panda_store::query::{decision, task::TaskRow};

use crate::EngineError;

/// Those of a page (at most 1,000) whose last brokerage, which put them on hold, left out a queue that is held no more, each with one sentence.
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
        for name in record::held(&doc) {
            let queues = match &queues {
                Some(queues) => queues,
                // As they are now: the release may be a moment old.
                None => queues.insert(ops.queues_changed().await?),
            };
            if queues.by_name.get(&name).is_some_and(|q| queues.kept_from(q.id).is_none()) {
                found.insert(t.id, format!("queue {name} is not held any more"));
                break;
            }
        }
    }
    Ok(found)
}

//! Counts of jobs. Decisions read [`load()`]: counted every ten seconds, with what this process did since. People and the API read
//! [`counts`]: all states, exact, recounted at most once a second a process.

mod load;
mod wide;

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{id::QueueId, job::state::JobState};
use panda_store::query::job::count;
use serde_json::Value;

pub(crate) use load::Held;
pub use load::{Made, dispatched, generated, load, publish, published};
pub use wide::{MAX_WINDOW_MIN, by_cloud, by_cloud_and_type, by_label_and_resource, by_resource};

use crate::{Ops, OpsError};

/// How old a count may be, microseconds: recounting reads an index over all jobs.
const MAX_AGE_US: i64 = 1_000_000;

/// Snapshots that say when a pilot of a queue was last heard of: `pilot_seen:<queue>`.
pub(crate) const SEEN: &str = "pilot_seen";
/// Snapshots that say when a job was last handed out at a queue: `pilot_start:<queue>`.
pub(crate) const STARTED: &str = "pilot_start";

/// States that are always listed, with 0 when there is none: clients look for them.
const ALWAYS: [&str; 3] = ["assigned", "activated", "running"];

/// Jobs of a state at a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// State.
    pub state: JobState,
    /// Queue; none before they have one.
    pub queue_id: Option<QueueId>,
    /// `prodSourceLabel`.
    pub label: String,
    /// Resource type; empty before they have a queue.
    pub resource_type: String,
    /// How many.
    pub n: i64,
}

/// Jobs by state, queue, label and resource type, at most a second old. Callers that come while it is recounted wait for the same count.
pub async fn counts(ops: &Ops) -> Result<Arc<Vec<Count>>, OpsError> {
    let mut held = ops.live.counts.lock().await;
    let now = ops.now().0;
    if let Some((at, counts)) = held.as_ref()
        && now - at < MAX_AGE_US
    {
        return Ok(counts.clone());
    }
    let groups = count::groups(&ops.store).await?;
    let mut queues = ops.queues().await?;
    if groups.iter().filter_map(|g| g.lane).any(|l| queues.lane(l).is_none()) {
        queues = ops.queues_changed().await?;
    }
    let one = |g: count::Group| {
        let lane = g.lane.and_then(|l| queues.lane(l));
        Count {
            state: g.state,
            queue_id: lane.map(|l| l.queue_id),
            resource_type: lane.map(|l| l.resource_type.clone()).unwrap_or_default(),
            label: g.label,
            n: g.n,
        }
    };
    let counts = Arc::new(groups.into_iter().map(one).collect());
    *held = Some((now, Arc::clone(&counts)));
    Ok(counts)
}

/// Live jobs that are with a queue; jobs that wait for a merge are not counted, as upstream does.
fn active(c: &Count) -> bool {
    !c.state.is_final() && c.state != JobState::Merging
}

/// `{queue: {state: n}}`, of every queue.
pub async fn active_by_site(ops: &Ops) -> Result<Value, OpsError> {
    let queues = ops.queues().await?;
    // Every queue, since an agent takes one that is not listed for one without statistics (`spec/harvester.md` section 5).
    let none = || ALWAYS.iter().map(|s| (*s, 0)).collect::<BTreeMap<&str, i64>>();
    let mut sites: BTreeMap<&str, BTreeMap<&str, i64>> = queues.by_name.keys().map(|name| (name.as_str(), none())).collect();
    let counts = counts(ops).await?;
    for c in counts.iter().filter(|c| active(c)) {
        if let Some(q) = c.queue_id.and_then(|q| queues.by_id.get(&q)) {
            *sites.entry(&q.name).or_insert_with(none).entry(c.state.as_str()).or_default() += c.n;
        }
    }
    Ok(serde_json::to_value(sites).unwrap_or_default())
}

/// `{queue: {resource type: {label: {state: n}}}}`.
pub async fn active_detailed_by_site(ops: &Ops) -> Result<Value, OpsError> {
    type States<'a> = BTreeMap<&'a str, i64>;
    let queues = ops.queues().await?;
    let mut sites: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, States<'_>>>> = BTreeMap::new();
    let counts = counts(ops).await?;
    for c in counts.iter().filter(|c| active(c)) {
        if let Some(q) = c.queue_id.and_then(|q| queues.by_id.get(&q)) {
            let types = sites.entry(&q.name).or_default();
            *types.entry(&c.resource_type).or_default().entry(&c.label).or_default().entry(c.state.as_str()).or_default() += c.n;
        }
    }
    Ok(serde_json::to_value(sites).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice};
    use serde_json::json;

    #[tokio::test]
    async fn live_jobs_by_queue() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        for state in [JobState::Activated, JobState::Running, JobState::Finished] {
            w.job(&alice(), None, q, state).await;
        }
        let want = json!({"LOCAL": {"activated": 1, "assigned": 0, "running": 1}});
        assert_eq!(active_by_site(&w.ops).await.unwrap(), want);
        let detailed = json!({"LOCAL": {"SCORE": {"user": {"activated": 1, "running": 1}}}});
        assert_eq!(active_detailed_by_site(&w.ops).await.unwrap(), detailed);
        w.job(&alice(), None, q, JobState::Activated).await;
        assert_eq!(active_by_site(&w.ops).await.unwrap(), want, "a second old at most");
        w.pass(2);
        assert_eq!(active_by_site(&w.ops).await.unwrap()["LOCAL"]["activated"], 2);
    }
}

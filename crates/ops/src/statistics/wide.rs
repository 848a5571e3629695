//! Statistics of the API that also count what ended lately: by cloud, resource type, label and processing type (`spec/api_v1.md` section 11).
//! Counting reads the rows, so a count is kept for a while, and one is made at a time.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{
    id::QueueId,
    policy::label::{self, ANALYSIS, PRODUCTION},
};
use panda_store::query::job::count::{self, OfType};
use serde_json::Value;

use crate::{Ops, OpsError, queue::Snapshot};

/// How old a count may be, microseconds.
const MAX_AGE_US: i64 = 10_000_000;
/// Counts that are kept, one a window: callers choose windows, and each takes memory.
const MAX_KEPT: usize = 8;
/// Minutes for which ended jobs are counted when nobody says (upstream: 12 hours).
pub const WINDOW_MIN: i64 = 720;
/// Longest window, minutes: a week.
pub const MAX_WINDOW_MIN: i64 = 10_080;

/// A count, with the time at which it was made.
type Made = (i64, Arc<Vec<OfType>>);

/// Counts by window.
#[derive(Debug, Default)]
pub(crate) struct Kept(tokio::sync::Mutex<BTreeMap<i64, Made>>);

/// Live jobs, and those that ended within so many minutes.
async fn counts(ops: &Ops, queues: &Snapshot, minutes: i64) -> Result<Arc<Vec<OfType>>, OpsError> {
    let kept = ops.live.of::<Kept>();
    let mut kept = kept.0.lock().await;
    let now = ops.now().0;
    kept.retain(|_, (at, _)| (0..MAX_AGE_US).contains(&(now - *at)));
    if let Some((_, counts)) = kept.get(&minutes) {
        return Ok(counts.clone());
    }
    let ids: Vec<QueueId> = queues.by_id.keys().copied().collect();
    let since = now - minutes * 60_000_000;
    let mut all = Vec::new();
    let mut parts = ids.chunks(panda_store::MAX_IN_LIST);
    all.extend(count::types(&ops.store, parts.next().unwrap_or_default(), since).await?);
    for part in parts {
        // Live jobs are counted once.
        all.extend(count::types(&ops.store, part, since).await?.into_iter().filter(|c| c.state.is_final()));
    }
    let all = Arc::new(all);
    if kept.len() >= MAX_KEPT {
        kept.pop_first();
    }
    kept.insert(minutes, (now, all.clone()));
    Ok(all)
}

/// The window that a caller asks for.
fn window(minutes: Option<i64>) -> Result<i64, OpsError> {
    match minutes {
        None => Ok(WINDOW_MIN),
        Some(m) if (1..=MAX_WINDOW_MIN).contains(&m) => Ok(m),
        Some(m) => Err(OpsError::refused(format!("time_window is {m} minutes; give 1 to {MAX_WINDOW_MIN}"))),
    }
}

/// Adds `n` below these names, the last of which is a state.
fn add(tree: &mut Value, path: &[&str], n: i64) {
    let mut at = tree;
    for name in path {
        if at.is_null() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = &mut at[*name];
    }
    *at = Value::from(at.as_i64().unwrap_or(0) + n);
}

/// Adds each count below the names that `path` gives for it; None leaves it out. Jobs that have no queue yet are at no site.
async fn tree<'a, P>(ops: &Ops, minutes: i64, queues: &'a Snapshot, path: P) -> Result<Value, OpsError>
where
    P: for<'c> Fn(&'c OfType, &'c At<'a>) -> Option<Vec<&'c str>>,
{
    let mut all = Value::Object(serde_json::Map::new());
    for c in counts(ops, queues, minutes).await?.iter() {
        let Some(at) = c.lane.and_then(|l| At::of(queues, l)) else { continue };
        if let Some(path) = path(c, &at) {
            add(&mut all, &path, c.n);
        }
    }
    Ok(all)
}

/// Where jobs are.
#[derive(Debug)]
pub(crate) struct At<'a> {
    queue: &'a str,
    /// Of the queue; its site when it is in none, as in descriptions of jobs.
    cloud: &'a str,
    vo: &'a str,
    resource_type: &'a str,
}

impl<'a> At<'a> {
    fn of(queues: &'a Snapshot, lane: panda_core::id::LaneId) -> Option<Self> {
        let lane = queues.lane(lane)?;
        let queue = queues.by_id.get(&lane.queue_id)?;
        let cloud = queues.fact(lane.queue_id).and_then(|q| q.cloud.as_deref()).unwrap_or(&queue.site);
        Some(Self { queue: &queue.name, cloud, vo: &lane.vo, resource_type: &lane.resource_type })
    }
}

/// `{cloud: {state: n}}` of production or of analysis.
///
/// # Errors
/// `kind` is neither.
pub async fn by_cloud(ops: &Ops, kind: &str) -> Result<Value, OpsError> {
    let class = match kind {
        "production" => PRODUCTION,
        "analysis" => ANALYSIS,
        _ => return Err(OpsError::refused("Parameter \"type\" needs to be either \"production\" or \"analysis\"")),
    };
    let (queues, settings) = (ops.queues().await?, ops.settings().await?);
    tree(ops, WINDOW_MIN, &queues, |c, at| (label::class(&settings, at.vo, &c.label) == class).then(|| vec![at.cloud, c.state.as_str()]))
        .await
}

/// `{cloud: {processing type: {state: n}}}` of production.
pub async fn by_cloud_and_type(ops: &Ops) -> Result<Value, OpsError> {
    let (queues, settings) = (ops.queues().await?, ops.settings().await?);
    tree(ops, WINDOW_MIN, &queues, |c, at| {
        let is_production = label::class(&settings, at.vo, &c.label) == PRODUCTION;
        is_production.then(|| vec![at.cloud, c.processing_type.as_str(), c.state.as_str()])
    })
    .await
}

/// `{queue: {resource type: {state: n}}}`, with what ended within so many minutes.
///
/// # Errors
/// A window that is too short or too long.
pub async fn by_resource(ops: &Ops, minutes: Option<i64>) -> Result<Value, OpsError> {
    let (minutes, queues) = (window(minutes)?, ops.queues().await?);
    tree(ops, minutes, &queues, |c, at| Some(vec![at.queue, at.resource_type, c.state.as_str()])).await
}

/// `{queue: {label: {resource type: {state: n}}}}`, with what ended within so many minutes.
///
/// # Errors
/// As [`by_resource`].
pub async fn by_label_and_resource(ops: &Ops, minutes: Option<i64>) -> Result<Value, OpsError> {
    let (minutes, queues) = (window(minutes)?, ops.queues().await?);
    tree(ops, minutes, &queues, |c, at| Some(vec![at.queue, c.label.as_str(), at.resource_type, c.state.as_str()])).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice};
    use panda_core::job::state::JobState;
    use serde_json::json;

    #[tokio::test]
    async fn what_ended_counts_for_as_long_as_asked() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        for state in [JobState::Activated, JobState::Running, JobState::Finished, JobState::Failed] {
            w.job(&alice(), None, q, state).await;
        }
        let all = json!({"LOCAL": {"SCORE": {"activated": 1, "running": 1, "finished": 1, "failed": 1}}});
        assert_eq!(by_resource(&w.ops, None).await.unwrap(), all);
        let by_label = json!({"LOCAL": {"user": all["LOCAL"].clone()}});
        assert_eq!(by_label_and_resource(&w.ops, Some(60)).await.unwrap(), by_label);
        w.pass(600);
        assert_eq!(by_resource(&w.ops, Some(5)).await.unwrap(), json!({"LOCAL": {"SCORE": {"activated": 1, "running": 1}}}));
        assert_eq!(by_resource(&w.ops, Some(11)).await.unwrap(), all);
        for wrong in [0, -1, MAX_WINDOW_MIN + 1, i64::MAX] {
            let e = by_resource(&w.ops, Some(wrong)).await.unwrap_err().to_string();
            assert!(e.starts_with("time_window is"), "{e}");
        }
    }

    #[tokio::test]
    async fn clouds_are_those_of_queues() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        w.job(&alice(), None, q, JobState::Running).await;
        assert_eq!(by_cloud(&w.ops, "analysis").await.unwrap(), json!({"LOCAL": {"running": 1}}), "a queue in no cloud counts by its site");
        assert_eq!(by_cloud(&w.ops, "production").await.unwrap(), json!({}));
        assert_eq!(by_cloud_and_type(&w.ops).await.unwrap(), json!({}));
        assert!(by_cloud(&w.ops, "tape").await.unwrap_err().to_string().contains("\"production\" or \"analysis\""));
    }
}

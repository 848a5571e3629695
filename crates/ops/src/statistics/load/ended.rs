//! Jobs that ended in the window of hours that brokerage looks at: counted whole now and then, and followed in between.

use std::collections::BTreeMap;

use panda_core::{id::QueueId, job::state::JobState, setting::broker::FAILURE_WINDOW_S};
use panda_store::query::job::count;
use serde_json::{Value, json};

use crate::{Ops, OpsError};

/// Jobs that ended are counted again when the last count is older than this: the window is hours long.
const ENDED_EVERY_US: i64 = 60_000_000;
/// All of the window is counted when the last such count is older than this; between two of them what has come is added and what has left the
/// window taken away, so that an end that was written late is missed until then only.
const ENDED_ANEW_US: i64 = 3 * 3_600_000_000;

/// Jobs that ended in the window, as the members "ended", "ended_at", "ended_anew" and "ended_from" of the document: those of the last count when
/// that is young enough, else with what came since.
pub(super) async fn since(ops: &Ops, now: i64, before: Option<&str>) -> Result<[Value; 4], OpsError> {
    let mut old = before.and_then(|b| serde_json::from_str::<Value>(b).ok()).unwrap_or_default();
    let int = |key: &str| old[key].as_i64();
    let (at, anew, from) = (int("ended_at").unwrap_or(0), int("ended_anew").unwrap_or(0), int("ended_from").unwrap_or(0));
    if (0..ENDED_EVERY_US).contains(&(now - at)) {
        return Ok([old["ended"].take(), at.into(), anew.into(), from.into()]);
    }
    let since = now - ops.settings().await?.int(&FAILURE_WINDOW_S, "*", "*").saturating_mul(1_000_000);
    let mut ends = Ends::default();
    // A window of another length, or a clock that was set back, is counted as a whole.
    let goes_on = (0..ENDED_ANEW_US).contains(&(now - anew)) && (from..=at).contains(&since) && now >= at;
    if goes_on {
        for row in old["ended"].as_array().into_iter().flatten() {
            let n = |i: usize| row[i].as_i64().unwrap_or(0);
            ends.0.insert((n(0), n(1)), (n(2), n(3)));
        }
        ends.add(ops, at, now, 1).await?;
        ends.add(ops, from, since, -1).await?;
    } else {
        ends.add(ops, since, now, 1).await?;
    }
    ends.0.retain(|_, (good, bad)| *good > 0 || *bad > 0);
    let lines: Vec<Value> = ends.0.into_iter().map(|((q, p), (good, bad))| json!([q, p, good.max(0), bad.max(0)])).collect();
    Ok([lines.into(), now.into(), if goes_on { anew } else { now }.into(), since.into()])
}

/// Ends by queue and person: finished, failed.
#[derive(Default)]
struct Ends(BTreeMap<(i64, i64), (i64, i64)>);

impl Ends {
    /// Adds the ends after `since` and not after `until`, `sign` times.
    async fn add(&mut self, ops: &Ops, since: i64, until: i64, sign: i64) -> Result<(), OpsError> {
        let mut queues: Vec<QueueId> = ops.queues().await?.by_id.keys().copied().collect();
        queues.sort_unstable();
        for chunk in queues.chunks(panda_store::MAX_IN_LIST) {
            for (queue, person, state, n) in count::ended(&ops.store, chunk, since, until).await? {
                let at = self.0.entry((queue.0, person)).or_default();
                if state == JobState::Finished { at.0 += n * sign } else { at.1 += n * sign }
            }
        }
        Ok(())
    }
}

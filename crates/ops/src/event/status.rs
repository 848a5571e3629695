//! How the ranges of jobs stand.

use panda_access::{Principal, Right, table};
use panda_core::id::JobId;
use panda_store::query::task::events;
use serde_json::{Map, Value, json};

use crate::{Ops, OpsError};

/// Most ranges of one answer.
const MAX_TOLD: usize = 100_000;
/// Rows read at a time.
const PAGE: i64 = 1_000;

/// `{job: {range: {"status", "error", "dialog"}}}` of these jobs.
pub async fn statuses(ops: &Ops, who: &Principal, jobs: &[JobId]) -> Result<Value, OpsError> {
    table::admit(Right::Read, Some(who))?;
    let (mut all, mut n) = (Map::new(), 0);
    for job in jobs {
        // A job of another VO has as many ranges as one that does not exist.
        let is_seen = crate::job::read::seen(ops, who, *job).await?.is_some();
        let (mut of_job, mut after) = (Map::new(), 0);
        loop {
            let page = if is_seen { events::of_job(&ops.store, *job, after, PAGE).await? } else { Vec::new() };
            let Some(last) = page.last() else { break };
            after = last.id;
            n += page.len();
            if n > MAX_TOLD {
                return Err(OpsError::refused(format!("these jobs have more than {MAX_TOLD} ranges; ask for fewer")));
            }
            for r in &page {
                of_job.insert(super::name(r).to_string(), json!({"status": r.state.as_str(), "error": r.error, "dialog": r.diag}));
            }
        }
        all.insert(job.0.to_string(), Value::Object(of_job));
    }
    Ok(Value::Object(all))
}

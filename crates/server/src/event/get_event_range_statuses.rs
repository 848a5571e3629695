//! `GET event/get_event_range_statuses`: how the ranges of jobs stand.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::OpsError;
use panda_ops::event;
use panda_wire::{lenient, literal};
use serde_json::Value;

/// Most jobs of one call.
const MAX_JOBS: usize = 1_000;

/// `{job: {range: {"status", "error", "dialog"}}}`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let wrong = || Refusal::from(OpsError::refused("`job_task_ids` is no list of {\"task_id\": N, \"panda_id\": N}; give it as JSON"));
    // The client's library writes what it is given as Python does, one pair or a list.
    let text = args.text("job_task_ids").unwrap_or_default();
    let given = serde_json::from_str(text).or_else(|_| literal::parse(text).map(|l| l.to_json())).map_err(|_| wrong())?;
    let list = match given {
        Value::Array(list) => list,
        one => vec![one],
    };
    let jobs = list.iter().map(|j| j.get("panda_id").and_then(lenient::int).map(JobId)).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    if jobs.len() > MAX_JOBS {
        return Err(OpsError::refused(format!("{} jobs are asked for, more than {MAX_JOBS}", jobs.len())).into());
    }
    Ok(Answer::data(event::statuses(ctx.ops(), ctx.caller()?, &jobs).await?))
}

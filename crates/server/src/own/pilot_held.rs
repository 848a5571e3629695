//! `pilot/held`: what a worker of ours was handed and has not ended.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::pilot::held::held;
use serde_json::{Value, json};

/// `[{"job_id": int, "attempt": int}]`, by id.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (queue, node) = (args.text("queue").unwrap_or_default(), args.text("node").unwrap_or_default());
    let jobs = held(ctx.ops(), ctx.caller()?, queue, node).await?;
    Ok(Answer::data(jobs.iter().map(|(id, attempt)| json!({"job_id": id.0, "attempt": attempt})).collect::<Value>()))
}

//! `GET task/get_job_ids`: the jobs of a task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::read;
use serde_json::json;

/// A list of numbers.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(json!(read::job_ids(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?)))
}

//! `GET task/get_status`: the status of a task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::read;
use serde_json::json;

/// The word.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(json!(read::status(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?)))
}

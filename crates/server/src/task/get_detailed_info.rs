//! `GET task/get_detailed_info`: everything about a task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::info;

/// An object.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(info::detailed(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?))
}

//! `GET task/get_task_parameters`: the parameters as stored.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::read;

/// An object.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(read::parameters(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?))
}

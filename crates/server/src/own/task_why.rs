//! `GET task/why`: why a task is where it is, and what would move it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::why::task::why;

/// An object of sentences, decisions and history.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(why(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?))
}

//! `POST task/increase_attempts`. Allows more attempts for the inputs.

use super::answer;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::steer;

/// The result code; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let id = TaskId(args.id("task_id"));
    Ok(answer(steer::increase_attempts(ctx.ops(), ctx.caller()?, id, args.id("increase")).await?))
}

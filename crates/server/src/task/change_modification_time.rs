//! `POST task/change_modification_time`. Shifts the instant that time-driven rules count from.

use super::answer;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::steer;

/// The result code; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let id = TaskId(args.id("task_id"));
    Ok(answer(steer::change_modification_time(ctx.ops(), ctx.caller()?, id, args.id("hour_offset")).await?))
}

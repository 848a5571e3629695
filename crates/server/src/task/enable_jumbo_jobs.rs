//! `POST task/enable_jumbo_jobs`. Lets a task have jobs that take ranges of all its files.

use super::answer;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::sharing;

/// The result code; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (id, total, per_site) = (TaskId(args.id("task_id")), args.id("jumbo_jobs_total"), args.int("jumbo_jobs_per_site"));
    Ok(answer(sharing::jumbo(ctx.ops(), ctx.caller()?, id, total, per_site).await?))
}

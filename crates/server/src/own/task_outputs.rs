//! `GET task/outputs`: registered outputs and logs of a task, page by page.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::outputs::list;

/// Data sets with their files, and `next` for the page that follows.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let after = args.text("after").filter(|after| !after.is_empty());
    let limit = args.int("limit").unwrap_or(0);
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), after, limit).await?))
}

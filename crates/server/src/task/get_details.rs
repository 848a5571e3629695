//! `GET task/get_details`: data sets, job counts and job ids.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::read;

/// An object.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (parameters, status) = (args.flag("include_parameters"), args.flag("include_status"));
    Ok(Answer::data(read::details(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), parameters, status).await?))
}

//! `POST task/disable_job_cloning`. Each job of a task is made once.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::sharing;
use serde_json::Value;

/// A sentence.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let said = sharing::clone_no_more(ctx.ops(), ctx.caller()?, TaskId(args.id("jedi_task_id"))).await?;
    Ok(Answer::said(said, Value::Null))
}

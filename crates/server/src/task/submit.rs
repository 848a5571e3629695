//! `POST task/submit`: registers a task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::task::submit::submit;
use serde_json::json;

/// The new id as data; on refusal the code of the original (client sheet 4.3).
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let parameters = args.take("task_parameters").unwrap_or_default();
    let submitted = submit(ctx.ops(), ctx.caller()?, parameters, args.int("parent_tid")).await?;
    Ok(Answer::said(submitted.message, json!(submitted.task_id.0)))
}

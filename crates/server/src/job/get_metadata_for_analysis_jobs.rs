//! `GET job/get_metadata_for_analysis_jobs`: what the payloads of a task reported.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::job::read;
use serde_json::Value;

/// An object by job id.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let found = read::metadata(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id"))).await?;
    let message = if found.is_empty() { "No metadata found" } else { "" };
    Ok(Answer::said(message, Value::Object(found)))
}

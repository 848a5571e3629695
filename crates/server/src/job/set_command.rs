//! `POST job/set_command`: leaves a command for the pilot of a job.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::job::command;
use serde_json::Value;

/// A sentence.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let command = args.text("command").unwrap_or_default();
    Ok(Answer::said(command::set(ctx.ops(), ctx.caller()?, JobId(args.id("job_id")), command).await?, Value::Null))
}

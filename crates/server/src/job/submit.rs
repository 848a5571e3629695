//! `POST job/submit`: submits jobs that belong to no task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::job::submit::{Submitted, submit};
use serde_json::Value;

/// `[PandaID, jobDefinitionID, {"jobsetID": n}]` a job, in order.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let jobs = args.take_text("jobs").unwrap_or_default();
    let submitted = submit(ctx.ops(), ctx.caller()?, jobs).await?;
    Ok(Answer::data(submitted.iter().map(Submitted::wire).collect::<Value>()))
}

//! `POST job/reassign`: sends jobs that wait elsewhere.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::job::reassign::reassign;
use serde_json::Value;

/// Success, with a sentence that says how many go and how many stay.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let ids: Vec<JobId> = args.ints("job_ids").into_iter().map(JobId).collect();
    let done = reassign(ctx.ops(), ctx.caller()?, &ids).await?;
    Ok(Answer::said(done.sentence(), Value::Null))
}

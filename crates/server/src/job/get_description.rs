//! `job/get_description`: describes jobs.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::job::read;
use serde_json::Value;

/// A list in the order asked; null for what is unknown.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let ids: Vec<JobId> = args.ints("job_ids").into_iter().map(JobId).collect();
    Ok(Answer::data(Value::Array(read::descriptions(ctx.ops(), ctx.caller()?, &ids).await?)))
}

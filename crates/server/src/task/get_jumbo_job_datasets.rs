//! `GET task/get_jumbo_job_datasets`. Input data sets of tasks with jumbo jobs.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::task::sharing;
use serde_json::json;

/// Names by task.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (from, to) = (args.id("from_offset"), args.int("to_offset").unwrap_or_default());
    Ok(Answer::data(json!(sharing::jumbo_datasets(ctx.ops(), ctx.caller()?, from, to).await?)))
}

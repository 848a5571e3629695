//! `POST job/kill`: ends jobs.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::job::kill::{Options, kill};
use serde_json::json;

/// A truth value a job. Mail addresses as ids are accepted; owners are known by their identity.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let ids: Vec<JobId> = args.ints("job_ids").into_iter().map(JobId).collect();
    let options = Options::parse(&args.texts("kill_options").unwrap_or_default())?;
    Ok(Answer::data(json!(kill(ctx.ops(), ctx.caller()?, &ids, args.int("code"), options).await?)))
}

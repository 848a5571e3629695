//! `GET harvester/get_worker_statistics`: workers by queue and Harvester.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::worker_statistics;

/// `{queue: {harvester: {label: {resource type: {state: n}}}}}` of the last four hours.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(worker_statistics(ctx.ops(), ctx.caller()?).await?))
}

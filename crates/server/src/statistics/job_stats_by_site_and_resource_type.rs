//! `GET statistics/job_stats_by_site_and_resource_type`: live jobs and those that ended lately, counted.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::statistics::by_resource;

/// Counts by queue and resource type.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(by_resource(ctx.ops(), args.int("time_window")).await?))
}

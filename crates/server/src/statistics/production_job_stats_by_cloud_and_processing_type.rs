//! `GET statistics/production_job_stats_by_cloud_and_processing_type`: jobs of production, counted.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::statistics::by_cloud_and_type;

/// Counts by cloud and processing type.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(by_cloud_and_type(ctx.ops()).await?))
}

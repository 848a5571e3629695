//! `GET statistics/active_job_detailed_stats_by_site`: live jobs, counted.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::statistics::active_detailed_by_site;

/// Counts by queue; an installation without jobs has none.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(active_detailed_by_site(ctx.ops()).await?))
}

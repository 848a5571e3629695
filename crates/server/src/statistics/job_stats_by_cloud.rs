//! `GET statistics/job_stats_by_cloud`: jobs of production or analysis, counted.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::{OpsError, statistics::by_cloud};
use serde_json::json;

/// Counts by cloud; a wrong type gets an empty object beside the reason.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    match by_cloud(ctx.ops(), args.text("type").unwrap_or_default()).await {
        Ok(counts) => Ok(Answer::data(counts)),
        Err(OpsError::Refused { message, .. }) => Err(Refusal::with_data(message, json!({}))),
        Err(error) => Err(error.into()),
    }
}

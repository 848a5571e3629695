//! `GET queue/worker_targets`: how many workers of each resource type a queue should get.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::queue::workers::targets;

/// The targets, and what they follow from.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(targets(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?))
}

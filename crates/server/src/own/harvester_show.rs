//! `GET harvester/show`: one instance of Harvester.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::overview::show;

/// What is known.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(show(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?))
}

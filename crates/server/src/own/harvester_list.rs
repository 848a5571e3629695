//! `GET harvester/list`: every instance of Harvester that was heard of.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::overview::list;

/// What is known.
pub async fn handle(ctx: Ctx, _args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?).await?))
}

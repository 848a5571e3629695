//! `GET storage/show`: one storage endpoint.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::show;

/// The endpoint with the queues that use it and its ways.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(show(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?))
}

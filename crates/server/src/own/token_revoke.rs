//! `POST token/revoke`: revokes an API token.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::token::revoke;

/// The token as it is now.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(revoke(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?))
}

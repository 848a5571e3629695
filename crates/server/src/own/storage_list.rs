//! `GET storage/list`: storage endpoints and the ways between them.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// Every endpoint and way (`panda_ops::endpoint::list`).
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(panda_ops::endpoint::list(ctx.ops(), ctx.caller()?).await?))
}

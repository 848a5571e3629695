//! `GET storage/list`: storage endpoints and the ways between them.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::list;

/// Every endpoint and every way.
pub async fn handle(ctx: Ctx, _args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?).await?))
}

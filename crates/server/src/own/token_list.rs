//! `GET token/list`: API tokens.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::token::list;

/// `{"tokens": [...]}`, without their texts.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?).await?))
}

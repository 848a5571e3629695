//! `GET retry_rule/show`: one retry rule.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::rule::show::one;

/// The rule.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(one(ctx.ops(), ctx.caller()?, args.id("id")).await?))
}

//! `POST retry_rule/remove`: removes a rule of the site; a changed shipped rule is as shipped again.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::rule::change::remove;
use serde_json::Value;

/// Nothing.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    remove(ctx.ops(), ctx.caller()?, args.id("id")).await?;
    Ok(Answer::data(Value::Null))
}

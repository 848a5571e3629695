//! `GET retry_rule/list`: every retry rule, shipped ones too.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::rule::show::list;
use serde_json::Value;

/// A list of rules by number.
pub async fn handle(ctx: Ctx, _args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(Value::Array(list(ctx.ops(), ctx.caller()?).await?)))
}

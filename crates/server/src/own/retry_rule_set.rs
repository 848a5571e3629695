//! `POST retry_rule/set`: changes a retry rule, shipped or not.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::rule::{change::set, show::one};
use serde_json::Value;

/// The rule as it is now.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let id = args.id("id");
    let Some(Value::Object(mut values)) = args.take("values") else { return Err(Refusal::new("values must be an object")) };
    values.insert("id".to_owned(), id.into());
    set(ctx.ops(), ctx.caller()?, &values).await?;
    Ok(Answer::data(one(ctx.ops(), ctx.caller()?, id).await?))
}

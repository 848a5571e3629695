//! `POST retry_rule/add`: adds a retry rule.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::rule::{change::set, show::one};
use serde_json::Value;

/// The new rule.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let Some(Value::Object(mut values)) = args.take("values") else { return Err(Refusal::new("values must be an object")) };
    if values.remove("id").is_some() {
        return Err(Refusal::new("a new rule gets its number from the server; retry_rule/set changes a rule"));
    }
    let id = set(ctx.ops(), ctx.caller()?, &values).await?;
    Ok(Answer::data(one(ctx.ops(), ctx.caller()?, id).await?))
}

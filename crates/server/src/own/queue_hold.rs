//! `POST queue/hold`: holds a queue, for a reason.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::hold::operator::hold;
use serde_json::Value;

/// Nothing; it lasts until somebody releases it.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).unwrap_or_default();
    hold(ctx.ops(), ctx.caller()?, text("name"), text("reason")).await?;
    Ok(Answer::data(Value::Null))
}

//! `POST setting/unset`: takes a setting back to its shipped value.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::setting::unset;
use serde_json::Value;

/// Nothing.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).unwrap_or_default();
    unset(ctx.ops(), ctx.caller()?, text("name"), text("vo"), text("label")).await?;
    Ok(Answer::data(Value::Null))
}

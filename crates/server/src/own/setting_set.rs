//! `POST setting/set`: changes a setting.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::setting::set;
use serde_json::Value;

/// Nothing; the refusal says what is wrong with the value.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).unwrap_or_default();
    set(ctx.ops(), ctx.caller()?, text("name"), text("vo"), text("label"), text("value")).await?;
    Ok(Answer::data(Value::Null))
}

//! `GET queue/holds`: what holds the dispatch now.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::Value;

/// Every hold that stands (`panda_ops::hold::as_json`).
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(Value::Array(panda_ops::hold::list(ctx.ops()).await?)))
}

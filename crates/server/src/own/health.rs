//! `GET health`: what people should look at.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::effect;
use serde_json::json;

/// A list of sentences.
pub async fn handle(ctx: Ctx, _args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(json!(effect::health(ctx.ops()).await?)))
}

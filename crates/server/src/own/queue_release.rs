//! `POST queue/release`: lifts a queue's hold and its brakes.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::hold::operator::release;
use serde_json::Value;

/// How many holds there were.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let n = release(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?;
    Ok(Answer::data(Value::from(n)))
}

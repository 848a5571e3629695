//! `POST queue/drain`: stops the dispatch of a queue or of the server.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::hold::operator::drain;
use serde_json::Value;

/// Nothing; running jobs go on, and heartbeats are taken.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    drain(ctx.ops(), ctx.caller()?, args.text("name"), args.text("reason").unwrap_or_default()).await?;
    Ok(Answer::data(Value::Null))
}

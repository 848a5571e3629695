//! `POST storage/link`: tells of a way between two storage endpoints.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::link;
use serde_json::Value;

/// Nothing.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (from, to) = (args.text("from").unwrap_or_default(), args.text("to").unwrap_or_default());
    link(ctx.ops(), ctx.caller()?, from, to, args.int("cost"), args.int("mbps"), args.int("queued").unwrap_or(0)).await?;
    Ok(Answer::data(Value::Null))
}

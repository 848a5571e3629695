//! `POST storage/unlink`: takes a way between two storage endpoints out.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::link;
use serde_json::Value;

/// Nothing.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    link(ctx.ops(), ctx.caller()?, args.text("from").unwrap_or_default(), args.text("to").unwrap_or_default(), None, None, 0).await?;
    Ok(Answer::data(Value::Null))
}

//! `POST storage/link`: tells of a way between two storage endpoints, or takes it out.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::link;
use serde_json::Value;

/// Nothing; without a cost the way is taken out.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = |key: &str| args.text(key).unwrap_or_default();
    let queued = args.int("queued").unwrap_or(0);
    link(ctx.ops(), ctx.caller()?, text("from"), text("to"), args.int("cost"), args.int("mbps"), queued).await?;
    Ok(Answer::data(Value::Null))
}

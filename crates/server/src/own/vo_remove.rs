//! `POST vo/remove`: takes a VO out that was added at run time.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::vo::remove;
use serde_json::Value;

/// Nothing.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    remove(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?;
    Ok(Answer::data(Value::Null))
}

//! `POST harvester/add_dialogs`: takes messages of a Harvester.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::dialogs;
use serde_json::Value;

/// No data.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let list = args.get("dialogs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    dialogs(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default(), list).await?;
    Ok(Answer::nothing())
}

//! `POST harvester/update_service_metrics`: takes what a Harvester measured of its machine.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::metrics;
use serde_json::{Value, json};

/// `[true]`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let list = args.get("metrics").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    metrics(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default(), list).await?;
    Ok(Answer::data(json!([true])))
}

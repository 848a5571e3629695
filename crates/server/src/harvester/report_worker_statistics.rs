//! `POST harvester/report_worker_statistics`: takes what a Harvester has at a queue.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::statistics;
use serde_json::Value;

/// No data; the message is `OK`.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let given = args.take("statistics").unwrap_or_default();
    let (harvester, queue) = (args.text("harvester_id").unwrap_or_default(), args.text("panda_queue").unwrap_or_default());
    statistics(ctx.ops(), ctx.caller()?, harvester, queue, &given).await?;
    Ok(Answer::said("OK", Value::Null))
}

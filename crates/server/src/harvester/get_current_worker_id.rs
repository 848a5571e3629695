//! `GET harvester/get_current_worker_id`: where a Harvester that lost its database goes on to count.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::report::current_worker;
use serde_json::Value;

/// The highest number of a worker; 0 for a Harvester without any.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let number = current_worker(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default()).await?;
    Ok(Answer::data(Value::from(number)))
}

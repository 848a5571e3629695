//! `POST harvester/update_workers`: takes what a Harvester tells of its workers.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::workers::update;
use serde_json::Value;

/// A list of true and false, one a worker, in order.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let workers = match args.take("workers") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let taken = update(ctx.ops(), ctx.caller()?, args.text("harvester_id").unwrap_or_default(), workers).await?;
    Ok(Answer::data(taken.into_iter().map(Value::Bool).collect::<Value>()))
}

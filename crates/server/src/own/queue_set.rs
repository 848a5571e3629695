//! `POST queue/set`: changes settings or the state of a queue.

use super::queue_list::summary;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::queue::change::set;
use serde_json::Value;

/// The queue as it is now.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let Some(Value::Object(values)) = args.take("values") else { return Err(Refusal::new("values must be an object")) };
    let queue = set(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default(), &values).await?;
    let snapshot = ctx.ops().queues().await?;
    Ok(Answer::data(summary(&queue, snapshot.rses.get(&queue.rse_id).map(AsRef::as_ref))))
}

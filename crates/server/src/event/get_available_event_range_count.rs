//! `GET event/get_available_event_range_count`: how many ranges a job could get.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::event;
use serde_json::Value;

/// A number.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (job, task) = super::asker(&args);
    let n = event::available(ctx.ops(), ctx.caller()?, job, task).await?;
    Ok(Answer::data(Value::from(n)))
}

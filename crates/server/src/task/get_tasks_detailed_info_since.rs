//! `GET task/get_tasks_detailed_info_since`: tasks that changed since a time, filtered.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::task::info;
use serde_json::Value;

/// A list of objects.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let n = args.int("n_tasks").unwrap_or(0);
    let list = info::detailed_since(ctx.ops(), ctx.caller()?, args.text("since"), args.text("filters"), n).await?;
    Ok(Answer::data(Value::Array(list)))
}

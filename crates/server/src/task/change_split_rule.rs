//! `POST task/change_split_rule`. Changes a split rule of a live task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::params;
use serde_json::Value;

/// A sentence; code 2 for a rule that cannot be changed.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (code, value) = (args.text("attribute_name").unwrap_or_default(), args.text("value").unwrap_or_default());
    let said = params::change_split_rule(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), code, value).await?;
    Ok(Answer::said(said, Value::Null))
}

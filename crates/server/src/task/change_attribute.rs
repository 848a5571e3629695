//! `POST task/change_attribute`. Changes memory, times or cores of a live task.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::params;
use serde_json::Value;

/// A sentence.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let name = args.text("attribute_name").unwrap_or_default();
    let said = params::change_attribute(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), name, args.id("value")).await?;
    Ok(Answer::said(said, Value::Null))
}

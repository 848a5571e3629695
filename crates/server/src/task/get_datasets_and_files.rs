//! `GET task/get_datasets_and_files`: data sets of a task with their files.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::read;
use serde_json::Value;

/// A list.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let roles = args.texts("dataset_types").unwrap_or_default();
    let list = read::datasets_and_files(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), &roles, args.flag("dataset_only")).await?;
    Ok(Answer::data(Value::Array(list)))
}

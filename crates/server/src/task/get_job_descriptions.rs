//! `GET task/get_job_descriptions`: the jobs of a task, described.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::job::read;
use serde_json::Value;

/// A list of objects.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let list = read::of_task(ctx.ops(), ctx.caller()?, TaskId(args.id("task_id")), args.flag("unsuccessful_only")).await?;
    Ok(Answer::data(Value::Array(list)))
}

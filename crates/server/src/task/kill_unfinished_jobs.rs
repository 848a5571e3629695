//! `POST task/kill_unfinished_jobs`. Ends the jobs of a task that have not ended.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::job::kill::kill_unfinished;
use serde_json::json;

/// A truth value a job; owners are known by their identity, not by mail.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let id = TaskId(args.id("task_id"));
    Ok(Answer::data(json!(kill_unfinished(ctx.ops(), ctx.caller()?, id, args.int("code")).await?)))
}

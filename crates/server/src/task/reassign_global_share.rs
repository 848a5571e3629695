//! `POST task/reassign_global_share`. Puts tasks and their queued jobs into another share.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::{share::reassign, task::command};

/// The result code: 0, or 1 when the share is no leaf; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let tasks: Vec<TaskId> = args.ints("task_id_list").into_iter().map(TaskId).collect();
    let share = args.text("share").unwrap_or_default();
    let (code, message) = reassign::share(ctx.ops(), ctx.caller()?, &tasks, share, args.flag("reassign_running_jobs")).await?;
    Ok(super::answer(command::Answer { code, message }))
}

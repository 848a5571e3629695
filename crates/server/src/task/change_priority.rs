//! `POST task/change_priority`. Another priority for a task and its queued jobs.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::{
    id::TaskId,
    task::command::{CODE_NOT_FOUND, CODE_REGISTERED},
};
use panda_ops::{share::reassign, task::command};

/// The result code; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let id = TaskId(args.id("task_id"));
    let priority = args.id("priority");
    let given = if reassign::priority(ctx.ops(), ctx.caller()?, id, priority).await? {
        command::Answer { code: CODE_REGISTERED, message: format!("jediTaskID={id} has priority {priority} now") }
    } else {
        command::Answer { code: CODE_NOT_FOUND, message: format!("jediTaskID={id} not found") }
    };
    Ok(super::answer(given))
}

//! `POST task/reassign`. Moves a task elsewhere.

use super::answer;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::steer::{self, Reassign};

/// The result code; success when it is 0.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let id = TaskId(args.id("task_id"));
    let text = |key| args.text(key).map(str::to_owned);
    // With a site, an empty one included, the task goes on where it was: nothing is left to be chosen (`spec/engine.md` section 4.3).
    let back_to_old_status = args.text("site").is_some();
    let to = Reassign { site: text("site"), cloud: text("cloud"), nucleus: text("nucleus"), mode: text("mode"), back_to_old_status };
    Ok(answer(steer::reassign(ctx.ops(), ctx.caller()?, id, &to).await?))
}

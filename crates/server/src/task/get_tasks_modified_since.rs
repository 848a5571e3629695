//! `GET task/get_tasks_modified_since`: tasks that changed since a time, by request id.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::task::info;

/// An object by request id.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let (since, label) = (args.text("since").unwrap_or_default(), args.text("prod_source_label").unwrap_or_default());
    let found =
        info::modified_since(ctx.ops(), ctx.caller()?, since, args.text("dn"), args.flag("full"), args.int("min_task_id"), label).await?;
    Ok(Answer::data(found))
}

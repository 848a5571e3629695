//! `POST task/enable_job_cloning`. Each job of a task is made several times.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::TaskId;
use panda_ops::task::sharing::{self, CLONES};
use serde_json::Value;

/// A sentence.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let mode = args.text("mode").filter(|m| !m.is_empty()).unwrap_or("runonce");
    let many = |name: &str| args.int(name).unwrap_or(CLONES);
    let (jobs, queues) = (many("multiplicity"), many("num_sites"));
    let said = sharing::clone(ctx.ops(), ctx.caller()?, TaskId(args.id("jedi_task_id")), mode, jobs, queues).await?;
    Ok(Answer::said(said, Value::Null))
}

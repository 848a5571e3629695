//! `GET job/why`: why a job is where it is, and what would move it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::why::job::why;

/// An object of sentences, decisions and history.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(why(ctx.ops(), ctx.caller()?, JobId(args.id("job_id"))).await?))
}

//! `GET retention/list`: what is kept, how much of it, and for how long.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::retention::report;

/// A line for each class and VO (`panda_ops::retention::report::list`), or, with `due`, what would be removed now (`report::due`).
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let who = ctx.caller()?;
    let lines = if args.flag("due") { report::due(ctx.ops(), who).await? } else { report::list(ctx.ops(), who).await? };
    Ok(Answer::data(lines))
}

//! `POST user/grant`: grants a role.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::Ops;
use panda_ops::grant::{What, Whom, add};

/// The grant.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let until_us = until(ctx.ops(), args.int("days"))?;
    Ok(Answer::data(add(ctx.ops(), ctx.caller()?, whom(&args), What { until_us, ..what(&args) }).await?))
}

/// Whom the arguments name.
pub(super) fn whom(args: &Args) -> Whom<'_> {
    Whom { name: args.text("name").unwrap_or_default(), issuer: args.text("issuer") }
}

/// The role that they name.
pub(super) fn what(args: &Args) -> What<'_> {
    What { role: args.text("role").unwrap_or_default(), vo: args.text("vo"), site: args.text("site"), until_us: None }
}

/// The end after so many days.
pub(super) fn until(ops: &Ops, days: Option<i64>) -> Result<Option<i64>, Refusal> {
    match days {
        None => Ok(None),
        Some(days @ 1..=36_500) => Ok(Some(ops.now().0 + days * 86_400_000_000)),
        Some(_) => Err(Refusal::new("days must be between 1 and 36500; leave it away for what has no end")),
    }
}

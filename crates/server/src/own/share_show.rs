//! `GET share/show`: targets of shares, what they use, what waits.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::share::show::show;

/// A list of shares, parents first; with a name that one and its parts.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(show(ctx.ops(), ctx.caller()?, args.text("name").filter(|n| !n.is_empty())).await?))
}

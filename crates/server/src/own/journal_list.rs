//! `GET journal/list`: what was changed.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::journal::list;

/// `{"lines": [...], "next": number}`; `before=next` goes on.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let limit = args.int("limit").unwrap_or_default();
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?, args.text("area"), args.int("before"), limit).await?))
}

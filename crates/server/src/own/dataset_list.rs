//! `GET dataset/list`: data sets by name, page by page.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::dataset::read::list;

/// `datasets` and `next`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let after = args.text("after").unwrap_or_default();
    let limit = usize::try_from(args.int("limit").unwrap_or(0)).unwrap_or(0);
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?, args.text("pattern"), after, limit).await?))
}

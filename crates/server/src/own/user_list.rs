//! `GET user/list`: granted roles and bans.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::grant::list;

/// `{"grants": [...]}`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?, args.text("vo")).await?))
}

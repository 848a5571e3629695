//! `GET vo/show`: one VO.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// What is known; secrets are left out.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(panda_ops::vo::show(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default()).await?))
}

//! `GET vo/list`: every VO with its identity provider.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;

/// What is known; secrets are left out.
pub async fn handle(ctx: Ctx, _args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(panda_ops::vo::list(ctx.ops(), ctx.caller()?).await?))
}

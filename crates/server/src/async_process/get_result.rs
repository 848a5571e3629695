//! `GET async_process/get_result`: what came of a request.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::requests;

/// Status, machines and rows.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(requests::result(ctx.ops(), ctx.caller()?, args.text("request_id").unwrap_or_default()).await?))
}

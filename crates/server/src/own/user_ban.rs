//! `POST user/ban`: locks somebody out.

use super::user_grant::{until, whom};
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::grant::ban;

/// The ban.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let until_us = until(ctx.ops(), args.int("days"))?;
    Ok(Answer::data(ban(ctx.ops(), ctx.caller()?, whom(&args), args.text("vo"), until_us).await?))
}

//! `GET share/list`: the configured shares.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::share::show::{list, wire};
use serde_json::Value;

/// A list of shares, parents first.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(list(ctx.ops(), ctx.caller()?).await?.iter().map(wire).collect::<Value>()))
}

//! `POST queue/undrain`: lets the dispatch go on.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::hold::operator::undrain;
use serde_json::Value;

/// How many drains there were.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let n = undrain(ctx.ops(), ctx.caller()?, args.text("name")).await?;
    Ok(Answer::data(Value::from(n)))
}

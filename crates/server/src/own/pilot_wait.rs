//! `pilot/wait`: returns when a queue has work, so that a worker of ours need not ask again and again.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::pilot::wait::{MAX_WAIT_S, wait};
use serde_json::json;
use std::time::Duration;

/// `{"ready": bool}`; false after the timeout.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let seconds = u64::try_from(args.int("timeout_s").unwrap_or(0)).unwrap_or(0).min(MAX_WAIT_S);
    let ready = wait(ctx.ops(), args.text("queue").unwrap_or_default(), Duration::from_secs(seconds)).await?;
    Ok(Answer::data(json!({"ready": ready})))
}

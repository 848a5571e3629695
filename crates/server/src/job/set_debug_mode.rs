//! `POST job/set_debug_mode`: turns frequent reports of a running job on or off.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::id::JobId;
use panda_ops::job::debug::set_debug_mode;
use serde_json::json;

/// The sentence, as message and as data: clients print the latter.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let text = set_debug_mode(ctx.ops(), ctx.caller()?, JobId(args.id("job_id")), args.flag("mode")).await?;
    Ok(Answer::said(text.clone(), json!(text)))
}

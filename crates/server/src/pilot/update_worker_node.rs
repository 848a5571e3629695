//! `POST pilot/update_worker_node`: takes the description of a machine.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::pilot::worker::node;
use serde_json::Value;

/// No data; the message says whether it was new.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let (site, host) = (args.take_text("site").unwrap_or_default(), args.take_text("host_name").unwrap_or_default());
    let who = ctx.caller()?.clone();
    let mut description = args.into_object();
    description.remove("timeout");
    let is_new = node(ctx.ops(), &who, &site, &host, &description).await?;
    Ok(Answer::said(if is_new { "inserted" } else { "updated" }, Value::Null))
}

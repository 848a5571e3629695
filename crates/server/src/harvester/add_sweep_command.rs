//! `POST harvester/add_sweep_command`: has workers of a queue killed by whoever serves it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::command::{Sweep, sweep};
use serde_json::Value;

/// No data; the message names the Harvesters that are told.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let list = |name: &str| args.texts(name).unwrap_or_default();
    let asked = Sweep { states: list("status_list"), endpoints: list("ce_list"), hosts: list("submission_host_list") };
    let told = sweep(ctx.ops(), ctx.caller()?, args.text("panda_queue").unwrap_or_default(), &asked).await?;
    Ok(Answer::said(format!("OK: {} told", told.join(", ")), Value::Null))
}

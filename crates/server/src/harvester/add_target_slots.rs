//! `POST harvester/add_target_slots`: how many slots a queue should have.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::harvester::slots::{Target, set};
use serde_json::Value;

/// No data; the message says what holds now.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let target = Target {
        queue: args.text("panda_queue").unwrap_or_default(),
        slots: args.id("slots"),
        share: args.text("global_share"),
        resource_type: args.text("resource_type"),
        expiration: args.text("expiration_date"),
    };
    Ok(Answer::said(set(ctx.ops(), ctx.caller()?, &target).await?, Value::Null))
}

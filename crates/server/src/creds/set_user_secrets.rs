//! `POST creds/set_user_secrets`: keeps one of the caller's secrets; without a value it goes, without a key all go.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::set_secret;
use serde_json::Value;

/// No data, message `OK`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    set_secret(ctx.ops(), ctx.caller()?, args.text("key"), args.text("value")).await?;
    Ok(Answer::said("OK", Value::Null))
}

//! `GET creds/get_user_secrets`: the caller's secrets.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::secrets;
use serde_json::Value;

/// The *text* of a JSON object: clients parse it themselves.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let keys = args.texts("keys");
    Ok(Answer::data(Value::String(secrets(ctx.ops(), ctx.caller()?, keys.as_deref()).await?)))
}

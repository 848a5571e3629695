//! `GET creds/get_token_key`: the key that pilots of a client must send to get its access token.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::token_key;
use serde_json::json;

/// The key as text.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let key = token_key(ctx.ops(), ctx.caller()?, args.text("client_name").unwrap_or_default()).await?;
    Ok(Answer::data(json!({"tokenKey": key})))
}

//! `GET creds/get_access_token`: an access token that the installation keeps for a client.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::access_token;
use serde_json::json;

/// The token, under the key of a proxy as in the original.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let token = access_token(ctx.ops(), ctx.caller()?, args.text("client_name").unwrap_or_default(), args.text("token_key")).await?;
    Ok(Answer::data(json!({"user_proxy": token})))
}

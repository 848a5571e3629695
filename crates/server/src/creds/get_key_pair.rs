//! `GET creds/get_key_pair`: a key pair of the installation.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::key_pair;
use serde_json::json;

/// Both keys as text.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let names = (args.text("public_key_name").unwrap_or_default(), args.text("private_key_name").unwrap_or_default());
    let (public, private) = key_pair(ctx.ops(), ctx.caller()?, names.0, names.1).await?;
    Ok(Answer::data(json!({"public_key": public, "private_key": private})))
}

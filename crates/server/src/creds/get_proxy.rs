//! `GET creds/get_proxy`: a proxy certificate that the installation keeps.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::creds::proxy;
use serde_json::json;

/// The certificate as text, under the name that clients read and under that which Harvester reads.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let proxy = proxy(ctx.ops(), ctx.caller()?, args.text("role"), args.text("dn")).await?;
    Ok(Answer::data(json!({"user_proxy": proxy, "userProxy": proxy})))
}

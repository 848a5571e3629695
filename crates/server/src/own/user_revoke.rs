//! `POST user/revoke`: takes a granted role away.

use super::user_grant::{what, whom};
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::grant::remove;
use serde_json::Value;

/// Nothing; a role that was not granted here is a refusal.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    match remove(ctx.ops(), ctx.caller()?, whom(&args), what(&args)).await? {
        true => Ok(Answer::data(Value::Null)),
        false => Err(Refusal::new(
            "that role was not granted here; roles that an identity provider tells are taken away there. `panda user list` shows what is granted",
        )),
    }
}

//! `POST user/unban`: lets somebody in again.

use super::user_grant::whom;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::grant::unban;
use serde_json::Value;

/// Nothing; somebody who is not banned is a refusal.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    match unban(ctx.ops(), ctx.caller()?, whom(&args), args.text("vo")).await? {
        true => Ok(Answer::data(Value::Null)),
        false => Err(Refusal::new("there is no such ban; `panda user list` shows them, a ban of a VO is lifted with that VO")),
    }
}

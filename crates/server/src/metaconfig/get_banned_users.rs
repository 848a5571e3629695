//! `GET metaconfig/get_banned_users`: who is locked out.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use serde_json::{Map, Value};

/// `{name: false}`.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    let names: Map<String, Value> = ctx.state.bans.names().into_iter().map(|name| (name, Value::Bool(false))).collect();
    Ok(Answer::data(Value::Object(names)))
}

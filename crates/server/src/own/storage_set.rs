//! `POST storage/set`: changes what is known of a storage endpoint.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::set;
use serde_json::Value;

/// The endpoint as it is now.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let Some(Value::Object(values)) = args.take("values") else { return Err(Refusal::new("values must be an object")) };
    Ok(Answer::data(set(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default(), &values).await?))
}

//! `POST share/set`: adds or changes a share.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::share::{change::set, show::wire};
use serde_json::Value;

/// The share as it is now; the refusal says what is wrong with the tree.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let Some(Value::Object(values)) = args.take("values") else { return Err(Refusal::new("values must be an object")) };
    let share = set(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default(), &values).await?;
    Ok(Answer::data(wire(&share)))
}

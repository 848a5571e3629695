//! `POST vo/set`: adds a VO, or changes what is known of it.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::vo::set;
use serde_json::{Map, Value};

/// The VO as it is now.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let values = match args.take("values") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values,
        Some(_) => return Err(Refusal::new("values must be an object")),
    };
    Ok(Answer::data(set(ctx.ops(), ctx.caller()?, args.text("name").unwrap_or_default(), &values).await?))
}

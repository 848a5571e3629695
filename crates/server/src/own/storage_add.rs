//! `POST storage/add`: makes a storage endpoint.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::endpoint::add;
use serde_json::{Map, Value};

/// The endpoint.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let values = match args.take("values") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values,
        Some(_) => return Err(Refusal::new("values must be an object")),
    };
    let (name, root) = (args.text("name").unwrap_or_default(), args.text("root").unwrap_or_default());
    Ok(Answer::data(add(ctx.ops(), ctx.caller()?, name, root, &values).await?))
}

//! `GET metaconfig/get_resource_types`: kinds of slots by cores and memory.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_core::policy::resource::Type;
use serde_json::{Value, json};

/// A list of `{"resource_name", "mincore", "maxcore", "minrampercore", "maxrampercore"}`.
pub async fn handle(ctx: Ctx, _: Args) -> Result<Answer, Refusal> {
    Ok(Answer::data(ctx.ops().resource_types().await?.iter().map(kind).collect::<Value>()))
}

fn kind(t: &Type) -> Value {
    let least = (t.above_mb >= 0).then_some(t.above_mb + 1);
    json!({"resource_name": t.name, "mincore": t.min_cores, "maxcore": t.max_cores, "minrampercore": least, "maxrampercore": t.max_mb})
}

//! `POST queue/add`: adds a queue.

use super::queue_list::summary;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use panda_ops::queue::change::add;
use serde_json::Value;
use std::path::Path;

/// The queue.
pub async fn handle(ctx: Ctx, mut args: Args) -> Result<Answer, Refusal> {
    let mut values = match args.take("config") {
        Some(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    if let Some(pilot) = args.take_text("pilot") {
        values.insert("pilot".to_owned(), Value::String(pilot));
    }
    let name = args.take_text("name").unwrap_or_default();
    let queue = add(ctx.ops(), ctx.caller()?, &name, args.text("storage").map(Path::new), &values).await?;
    let snapshot = ctx.ops().queues().await?;
    Ok(Answer::data(summary(&queue, snapshot.rses.get(&queue.rse_id).map(AsRef::as_ref))))
}

//! `GET queue/show`: one queue with the document that its pilots read.

use super::queue_list::summary;
use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::queue_doc;
use serde_json::Value;

/// The summary and `config`.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let name = args.text("name").unwrap_or_default();
    let snapshot = ctx.ops().queues().await?;
    let Some(queue) = snapshot.by_name.get(name) else {
        return Err(Refusal::new(format!("queue `{name}` does not exist; `panda queue list` shows those that do")));
    };
    let storage = snapshot.rses.get(&queue.rse_id).map(AsRef::as_ref);
    let mut shown = summary(queue, storage);
    if let Value::Object(map) = &mut shown {
        map.insert("config".to_owned(), Value::Object(queue_doc::document(queue, storage.map(|s| s.name.as_str()))));
    }
    Ok(Answer::data(shown))
}

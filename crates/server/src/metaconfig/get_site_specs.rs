//! `GET metaconfig/get_site_specs`: queues and their settings, for everybody.

use crate::answer::{Answer, Refusal};
use crate::args::Args;
use crate::ctx::Ctx;
use crate::queue_doc;
use serde_json::{Map, Value, json};

/// `{queue: settings}`, without storage details. `type` names a kind of queue or is `all`; ours are of every kind.
pub async fn handle(ctx: Ctx, args: Args) -> Result<Answer, Refusal> {
    let wanted = args.text("type").unwrap_or_default();
    let snapshot = ctx.ops().queues().await?;
    let mut specs = Map::new();
    for queue in snapshot.sorted() {
        let config = queue_doc::document(&queue, None);
        let kind = config.get("type").and_then(Value::as_str).unwrap_or("unified");
        // A unified queue runs both kinds of jobs.
        if wanted != "all" && kind != "unified" && kind != wanted {
            continue;
        }
        let spec = json!({
            "sitename": queue.site,
            "nickname": queue.name,
            "type": kind,
            "status": queue.state,
            "cloud": config.get("cloud"),
            "coreCount": queue.core_count,
            "maxrss": queue.max_ram_mb,
            "minrss": config.get("minrss"),
            "maxtime": queue.max_walltime_s,
            "mintime": config.get("mintime").cloned().unwrap_or_else(|| json!(0)),
            "maxwdir": config.get("maxwdir"),
            "maxinputsize": config.get("maxinputsize"),
            "container_type": config.get("container_type"),
            "catchall": config.get("catchall"),
            "pilot": queue.pilot_family,
        });
        specs.insert(queue.name.clone(), spec);
    }
    Ok(Answer::data(Value::Object(specs)))
}

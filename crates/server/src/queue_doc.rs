//! Queues and storage endpoints in the shapes that pilots read
//! (`/cache/schedconfig`, `/cache/ddmendpoints.json`; pilot sheet section 7).
//!
//! Owns the keys without which a pilot of any age ends. Must not know policy: a
//! queue's own document overrides every key made here.

use crate::answer::{DATABASE, Rejection};
use http::StatusCode;
use panda_ops::{Ops, OpsError};
use panda_store::query::queue::{QueueRow, RseRow};
use serde_json::{Map, Value, json};

/// Activities of input and output; 3.7 knows the short names, 3.11 the long ones.
const ACTIVITIES: [&str; 8] = ["pr", "pw", "pl", "read_lan", "write_lan", "read_lan_analysis", "write_lan_analysis", "default"];

/// Most scratch space that is told to a pilot when the queue has no limit, MB: 0 would mean "none".
const UNLIMITED_MB: i64 = 1_000_000;

fn failed(error: &OpsError) -> Rejection {
    tracing::error!(%error, "queues cannot be read");
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, DATABASE)
}

/// JSON text of one queue, a flat object; `None` when it does not exist.
///
/// # Errors
/// 503 when the database fails.
pub async fn one(ops: &Ops, name: &str) -> Result<Option<String>, Rejection> {
    let snapshot = ops.queues().await.map_err(|e| failed(&e))?;
    let Some(queue) = snapshot.by_name.get(name) else { return Ok(None) };
    let storage = snapshot.rses.get(&queue.rse_id);
    Ok(Some(Value::Object(document(queue, storage.map(|r| r.name.as_str()))).to_string()))
}

/// JSON text of all queues by name.
///
/// # Errors
/// 503 when the database fails.
pub async fn all(ops: &Ops) -> Result<String, Rejection> {
    let snapshot = ops.queues().await.map_err(|e| failed(&e))?;
    let entry = |queue: &QueueRow| {
        let storage = snapshot.rses.get(&queue.rse_id).map(|r| r.name.as_str());
        (queue.name.clone(), Value::Object(document(queue, storage)))
    };
    Ok(Value::Object(snapshot.sorted().iter().map(|q| entry(q)).collect()).to_string())
}

/// JSON text of all storage endpoints by name.
///
/// # Errors
/// 503 when the database fails.
pub async fn storages(ops: &Ops) -> Result<String, Rejection> {
    let snapshot = ops.queues().await.map_err(|e| failed(&e))?;
    let mut rses: Vec<&RseRow> = snapshot.rses.values().map(AsRef::as_ref).collect();
    rses.sort_by(|a, b| a.name.cmp(&b.name));
    let site = |rse: &RseRow| snapshot.sorted().iter().find(|q| q.rse_id == rse.id).map(|q| q.site.clone());
    let entries: Map<String, Value> = rses.iter().map(|rse| (rse.name.clone(), storage(rse, site(rse)))).collect();
    Ok(Value::Object(entries).to_string())
}

/// Largest document of templates, bytes.
const MAX_TEMPLATES: u64 = 4 << 20;

/// JSON text of the templates and queue settings that instances of Harvester take from here (`queues_config_file` of their cacher): what stands in
/// `harvester/queues_config.json` of the data folder; without the file there are none.
///
/// # Errors
/// 500 when the file cannot be read or is no JSON object: an instance goes on with what it had.
pub async fn templates(ops: &Ops) -> Result<String, Rejection> {
    let path = ops.options.data_dir.join("harvester").join("queues_config.json");
    let wrong = |why: String| {
        tracing::error!(path = %path.display(), "the templates of Harvester: {why}");
        Rejection::internal("the templates cannot be read; the reason is in the log")
    };
    match tokio::fs::metadata(&path).await {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok("{}".to_owned()),
        Err(e) => return Err(wrong(e.to_string())),
        Ok(meta) if meta.len() > MAX_TEMPLATES => return Err(wrong(format!("more than {MAX_TEMPLATES} bytes"))),
        Ok(_) => {}
    }
    let text = tokio::fs::read_to_string(&path).await.map_err(|e| wrong(e.to_string()))?;
    match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(_) => Ok(text),
        Err(e) => Err(wrong(format!("no JSON object: {e}"))),
    }
}

/// The document of a queue: the keys that pilots need, then the queue's own.
#[must_use]
pub fn document(queue: &QueueRow, storage: Option<&str>) -> Map<String, Value> {
    let activities = |value: &str| -> Map<String, Value> { ACTIVITIES.iter().map(|a| ((*a).to_owned(), json!([value]))).collect() };
    let limit = |value: i64| if value > 0 { value } else { UNLIMITED_MB };
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    set("nickname", json!(queue.name));
    set("panda_resource", json!(queue.name));
    set("atlas_site", json!(queue.site));
    set("gstat", json!(queue.site));
    set("state", json!("ACTIVE"));
    set("status", json!(queue.state));
    set("type", json!("unified"));
    set("resource_type", json!("cloud"));
    // Without the flag outputs stay in the pilot's own folder.
    set("catchall", json!("mv_final_destination"));
    set("copytools", json!({"mv": {"setup": ""}}));
    set("acopytools", activities("mv").into());
    set("astorages", storage.map(activities).unwrap_or_default().into());
    set("container_type", json!(""));
    set("container_options", json!(""));
    set("appdir", json!(""));
    set("maxwdir", json!(limit(queue.max_disk_mb)));
    set("maxrss", json!(queue.max_ram_mb));
    set("minrss", json!(0));
    set("maxinputsize", json!(-1));
    set("maxtime", json!(queue.max_walltime_s));
    set("timefloor", json!(0));
    set("corecount", json!(queue.core_count.max(1)));
    set("is_cvmfs", json!(false));
    set("params", json!({}));
    if let Ok(Value::Object(own)) = serde_json::from_str(&queue.doc) {
        map.extend(own);
    }
    map
}

/// One storage endpoint: a directory tree, read and written by path.
fn storage(rse: &RseRow, site: Option<String>) -> Value {
    let protocol = json!([{"endpoint": "file://localhost", "path": rse.root, "flavour": "file", "id": rse.id}]);
    json!({
        "id": rse.id,
        "name": rse.name,
        "type": "SCRATCHDISK",
        "state": rse.state.to_uppercase(),
        "site": site.unwrap_or_else(|| rse.name.clone()),
        "token": rse.name,
        "is_deterministic": true,
        "arprotocols": {"read_lan": protocol, "write_lan": protocol, "read_wan": protocol, "write_wan": protocol},
        "rprotocols": {},
        "copytools": {},
        "acopytools": {},
        "astorages": {},
        "resource": {},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use panda_core::id::QueueId;

    fn queue(doc: &str) -> QueueRow {
        QueueRow {
            id: QueueId(1),
            name: "Q".into(),
            site: "S".into(),
            state: "online".into(),
            pilot_family: "native".into(),
            rse_id: 1,
            script_base: None,
            core_count: 4,
            max_ram_mb: 8000,
            max_disk_mb: 0,
            max_walltime_s: 3600,
            doc: doc.into(),
            rev: 1,
        }
    }

    #[test]
    fn every_required_key_is_there() {
        let map = document(&queue("{}"), Some("DISK"));
        for key in [
            "nickname",
            "panda_resource",
            "state",
            "status",
            "atlas_site",
            "catchall",
            "container_type",
            "copytools",
            "acopytools",
            "astorages",
            "maxwdir",
            "maxinputsize",
            "maxtime",
            "timefloor",
            "resource_type",
            "type",
            "corecount",
            "is_cvmfs",
            "params",
        ] {
            assert!(map.contains_key(key), "{key}");
        }
        assert!(map["maxwdir"].as_i64().unwrap() > 0, "0 would be sent as the space at hand");
        assert_eq!(map["astorages"]["pr"], json!(["DISK"]));
        assert_eq!(map["astorages"]["read_lan"], json!(["DISK"]));
    }

    #[test]
    fn the_queues_own_document_wins() {
        let map = document(&queue(r#"{"timefloor": 10, "extra": [1]}"#), None);
        assert_eq!((&map["timefloor"], &map["extra"], &map["astorages"]), (&json!(10), &json!([1]), &json!({})));
        assert_eq!(document(&queue("broken"), None)["timefloor"], 0);
    }
}

//! Adds queues and changes them. A queue comes with a storage endpoint, a directory; without one of its own it shares that of the installation, so
//! that what one queue wrote another can read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::QueueId,
    queue::{PilotFamily, QueueState},
};
use panda_store::{
    Batch, IdKind, Topic,
    query::queue::{self, QueueRow, RseRow},
};
use panda_wire::lenient;
use serde_json::{Map, Value};

use super::facts;
use crate::{MAX_CONFLICTS, Ops, OpsError, job::place};

/// The shared storage endpoint.
pub const SHARED_RSE: &str = "DISK";
/// Its directory below the data directory.
const SHARED_DIR: &str = "storage";
/// Longest name of a queue, bytes; it becomes part of addresses and file names.
const MAX_NAME: usize = 90;
/// Largest further configuration, bytes.
const MAX_DOC: usize = 1 << 18;

/// Adds a queue. `storage` is the absolute directory of its files (None = the shared one), `values` are settings as for [`set`].
/// Administrators of its site, operators.
pub async fn add(
    ops: &Ops,
    who: &Principal,
    name: &str,
    storage: Option<&Path>,
    values: &Map<String, Value>,
) -> Result<Arc<QueueRow>, OpsError> {
    table::admit(Right::QueueChange, Some(who))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) || name.starts_with('.') {
        return Err(OpsError::refused(format!("`{name}` is no queue name; use letters, digits, `_`, `-`, `.`, at most {MAX_NAME}")));
    }
    if ops.queues_changed().await?.by_name.contains_key(name) {
        return Err(OpsError::refused(format!("queue {name} exists; `panda queue set {name} KEY=VALUE` changes it")));
    }
    let mut row = QueueRow {
        id: QueueId(ops.store.id(IdKind::Row).await?),
        name: name.to_owned(),
        site: name.to_owned(),
        state: QueueState::Online.as_str().to_owned(),
        pilot_family: PilotFamily::Native.as_str().to_owned(),
        rse_id: rse(ops, name, storage).await?,
        script_base: None,
        core_count: 1,
        max_ram_mb: 0,
        max_disk_mb: 0,
        max_walltime_s: 0,
        doc: "{}".into(),
        rev: 0,
    };
    apply_values(&mut row, values)?;
    table::allowed(Right::QueueChange, Some(who), Some(Object::of_site(&row.site)))?;
    let mut batch = Batch::new();
    queue::add(&mut batch, &row, ops.now().0);
    look_again(&mut batch, &row);
    match ops.store.apply(batch).await {
        Ok(()) => changed(ops, name).await,
        Err(e) if e.is_conflict() => Err(OpsError::refused(format!("queue {name} was just added by somebody else"))),
        Err(e) => Err(e.into()),
    }
}

/// Changes a queue. Keys: `state`, `site`, `pilot` (family), `cores`, `max_ram_mb`, `max_disk_mb`, `max_walltime_s`, `script_base`, `storage`
/// (directory), also under the names of queue documents (`status`, `corecount`, `maxrss`, `maxwdir`, `maxtime`); any other key goes into the
/// document that pilots read, a null takes it out. Administrators of its site, operators.
pub async fn set(ops: &Ops, who: &Principal, name: &str, values: &Map<String, Value>) -> Result<Arc<QueueRow>, OpsError> {
    table::admit(Right::QueueChange, Some(who))?;
    for _ in 0..MAX_CONFLICTS {
        let queues = ops.queues_changed().await?;
        let missing = || OpsError::NotFound(format!("queue `{name}` does not exist; add it with `panda queue add {name}`"));
        let mut row = QueueRow::clone(queues.by_name.get(name).ok_or_else(missing)?);
        table::allowed(Right::QueueChange, Some(who), Some(Object::of_site(&row.site)))?;
        apply_values(&mut row, values)?;
        // Nor is it given to a site of others.
        table::allowed(Right::QueueChange, Some(who), Some(Object::of_site(&row.site)))?;
        if let Some(dir) = values.get("storage").and_then(Value::as_str) {
            row.rse_id = rse(ops, name, Some(Path::new(dir))).await?;
        }
        let mut batch = Batch::new();
        queue::set(&mut batch, &row, ops.now().0);
        look_again(&mut batch, &row);
        match ops.store.apply(batch).await {
            Ok(()) => return changed(ops, name).await,
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("queue {name} changes all the time; try again")))
}

/// Tasks that no queue could take look at a new or changed one.
fn look_again(batch: &mut Batch, row: &QueueRow) {
    if row.state == QueueState::Online.as_str() {
        batch.wake(Topic::Files).wake(Topic::Holds);
    }
}

/// Rereads, and lets jobs go that waited for a queue like this one.
async fn changed(ops: &Ops, name: &str) -> Result<Arc<QueueRow>, OpsError> {
    let queues = ops.queues_changed().await?;
    let row = queues.by_name.get(name).cloned().ok_or_else(|| OpsError::Internal(format!("queue {name} vanished")))?;
    if row.state == QueueState::Online.as_str() {
        place::waiting(ops).await?;
    }
    Ok(row)
}

fn apply_values(row: &mut QueueRow, values: &Map<String, Value>) -> Result<(), OpsError> {
    let mut doc = match serde_json::from_str(&row.doc) {
        Ok(Value::Object(doc)) => doc,
        _ => Map::new(),
    };
    for (key, value) in values {
        match key.as_str() {
            "state" | "status" => {
                row.state = word(key, value, |w| QueueState::parse(w).map(QueueState::as_str).map_err(|e| e.to_string()))?
            }
            "pilot" | "family" | "pilot_family" => {
                row.pilot_family = word(key, value, |w| PilotFamily::parse(w).map(PilotFamily::as_str).map_err(|e| e.to_string()))?;
            }
            "site" | "atlas_site" => row.site = text(key, value)?,
            "cores" | "core_count" | "corecount" => row.core_count = number(key, value, -1)?,
            "max_ram_mb" | "maxrss" => row.max_ram_mb = number(key, value, 0)?,
            "max_disk_mb" | "maxwdir" => row.max_disk_mb = number(key, value, 0)?,
            "max_walltime_s" | "maxtime" => row.max_walltime_s = number(key, value, 0)?,
            "script_base" => row.script_base = if value.is_null() { None } else { Some(address(&text(key, value)?)?) },
            "storage" => {}
            "nickname" | "panda_resource" | "name" => {
                if value.as_str() != Some(&row.name) {
                    return Err(OpsError::refused(format!("{key}: a queue keeps its name {}", row.name)));
                }
            }
            _ if value.is_null() => drop(doc.shift_remove(key)),
            _ => drop(doc.insert(key.clone(), value.clone())),
        }
    }
    row.doc = Value::Object(doc).to_string();
    if let Some(problem) = facts::read(row, None).1.first() {
        return Err(OpsError::refused(problem.clone()));
    }
    if row.doc.len() > MAX_DOC {
        return Err(OpsError::refused(format!("the queue's document has {} bytes; at most {MAX_DOC} are kept", row.doc.len())));
    }
    Ok(())
}

fn text(key: &str, value: &Value) -> Result<String, OpsError> {
    let text = lenient::text(value.clone()).filter(|t| !t.trim().is_empty() && t.len() <= 100);
    text.ok_or_else(|| OpsError::refused(format!("{key}: {value} is no name of at most 100 characters")))
}
fn number(key: &str, value: &Value, least: i64) -> Result<i64, OpsError> {
    let n = if value.is_null() { Some(0) } else { lenient::int(value) };
    n.filter(|n| *n >= least).ok_or_else(|| OpsError::refused(format!("{key}: {value} is no number of at least {least}; 0 means no limit")))
}
fn word(key: &str, value: &Value, read: impl Fn(&str) -> Result<&'static str, String>) -> Result<String, OpsError> {
    let given = text(key, value)?;
    read(&given).map(str::to_owned).map_err(|e| OpsError::refused(format!("{key}: {e}")))
}
fn address(text: &str) -> Result<String, OpsError> {
    let text = text.trim_end_matches('/');
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    Err(OpsError::refused(format!("script_base: `{text}` is no http(s) address")))
}

/// The storage endpoint of a directory, made when it is new.
async fn rse(ops: &Ops, queue: &str, storage: Option<&Path>) -> Result<i64, OpsError> {
    let (name, dir) = match storage {
        Some(dir) if dir.is_absolute() => (format!("{queue}_DISK"), dir.to_path_buf()),
        Some(dir) => return Err(OpsError::refused(format!("storage must be an absolute directory, got `{}`", dir.display()))),
        None => (SHARED_RSE.to_owned(), ops.options.data_dir.join(SHARED_DIR)),
    };
    let root = tokio::task::spawn_blocking(move || -> Result<PathBuf, OpsError> {
        let failed = |source| OpsError::File { what: format!("making storage {}", dir.display()), source };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        dir.canonicalize().map_err(failed)
    });
    let root = root.await.map_err(|e| OpsError::Internal(format!("making storage stopped: {e}")))??;
    let root = root.display().to_string();
    for _ in 0..MAX_CONFLICTS {
        let queues = ops.queues_changed().await?;
        if let Some(found) = queues.rses.values().find(|r| r.root == root) {
            return Ok(found.id);
        }
        let mut batch = Batch::new();
        let id = match queues.rses.values().find(|r| r.name == name) {
            // The queue's own endpoint moves; addresses of files that lie in the old place stay as they are.
            Some(own) => {
                queue::set_rse_root(&mut batch, own.id, &root);
                own.id
            }
            None => {
                let row = RseRow {
                    id: ops.store.id(IdKind::Row).await?,
                    name: name.clone(),
                    root: root.clone(),
                    state: "active".into(),
                    doc: None,
                };
                queue::add_rse(&mut batch, &row);
                row.id
            }
        };
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(id),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("storage endpoint {name} changes all the time; try again")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, operator};
    use panda_core::job::state::JobState;
    use serde_json::json;

    fn values(v: Value) -> Map<String, Value> {
        v.as_object().cloned().unwrap()
    }

    #[tokio::test]
    async fn queues_share_storage_unless_told() {
        let w = World::new().await;
        let none = Map::new();
        assert!(matches!(add(&w.ops, &alice(), "A", None, &none).await, Err(OpsError::Denied(_))));
        let a = add(&w.ops, &operator(), "A", None, &values(json!({"corecount": "8", "maxrss": 16000, "timefloor": 5}))).await.unwrap();
        assert_eq!((a.core_count, a.max_ram_mb, a.state.as_str(), a.doc.as_str()), (8, 16_000, "online", r#"{"timefloor":5}"#));
        let b = add(&w.ops, &operator(), "B", None, &none).await.unwrap();
        assert_eq!(a.rse_id, b.rse_id);
        let own = w.path("own");
        let c = add(&w.ops, &operator(), "C", Some(&own), &values(json!({"pilot": "official-generic"}))).await.unwrap();
        let rses = &w.ops.queues().await.unwrap().rses;
        assert_eq!((rses[&a.rse_id].name.as_str(), rses[&c.rse_id].name.as_str()), ("DISK", "C_DISK"));
        assert!(own.is_dir());
        assert_eq!(c.pilot_family, "official-generic");
        for (name, storage, want) in [("A", None, "exists"), ("a b", None, "no queue name"), ("D", Some("rel"), "absolute")] {
            let e = add(&w.ops, &operator(), name, storage.map(Path::new), &none).await.unwrap_err().to_string();
            assert!(e.contains(want), "{e}");
        }
    }

    #[tokio::test]
    async fn settings_are_checked() {
        let w = World::new().await;
        add(&w.ops, &operator(), "A", None, &Map::new()).await.unwrap();
        let got = set(&w.ops, &operator(), "A", &values(json!({"state": "offline", "site": "S", "catchall": "x"}))).await.unwrap();
        assert_eq!((got.state.as_str(), got.site.as_str(), got.rev), ("offline", "S", 1));
        let got = set(&w.ops, &operator(), "A", &values(json!({"catchall": null, "script_base": "http://h/"}))).await.unwrap();
        assert_eq!((got.doc.as_str(), got.script_base.as_deref()), ("{}", Some("http://h")));
        for (v, want) in [
            (json!({"state": "open"}), "unknown queue state"),
            (json!({"maxrss": -1}), "no number"),
            (json!({"cores": "many"}), "no number"),
            (json!({"script_base": "ftp://x"}), "no http(s) address"),
            (json!({"nickname": "B"}), "keeps its name"),
        ] {
            let e = set(&w.ops, &operator(), "A", &values(v)).await.unwrap_err().to_string();
            assert!(e.contains(want), "{e}");
        }
        assert!(matches!(set(&w.ops, &operator(), "Z", &Map::new()).await, Err(OpsError::NotFound(_))));
    }

    #[tokio::test]
    async fn jobs_that_wait_for_a_queue_get_it() {
        let w = World::new().await;
        add(&w.ops, &operator(), "A", None, &values(json!({"state": "offline"}))).await.unwrap();
        let job = json!([{"transformation": "http://h/x", "Files": [{"lfn": "o", "type": "output", "destinationDBlock": "user.alice.o"}]}]);
        let id = crate::job::submit::submit(&w.ops, &alice(), job.to_string()).await.unwrap()[0].job_id;
        assert_eq!(w.job_row(id).await.state, JobState::Defined);
        let why = crate::why::job::why(&w.ops, &alice(), id).await.unwrap();
        assert!(why["because"].as_array().unwrap().iter().any(|b| b.as_str().unwrap().contains("not online")), "{why}");
        let queue = set(&w.ops, &operator(), "A", &values(json!({"state": "online"}))).await.unwrap();
        let row = w.job_row(id).await;
        assert_eq!((row.state, row.queue_id, row.lane_id.is_some()), (JobState::Activated, Some(queue.id), true));
        let (own, _) = panda_store::query::job::list::doc(&w.ops.store, id).await.unwrap().unwrap();
        assert!(own.contains(r#""ddmEndPointOut":"DISK""#) && own.contains(r#""fileDestinationSE":"A""#), "{own}");
    }
}

//! Storage endpoints and the ways between them: what is known of them, told by people or by what measures them.

use std::path::Path;

use panda_access::{Principal, Right, table};
use panda_core::policy::broker::Endpoint;
use panda_store::{
    Batch, IdKind,
    query::queue::{self, LinkRow, RseRow},
};
use panda_wire::lenient;
use serde_json::{Map, Value, json};

use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Longest name (the column's width).
const MAX_NAME: usize = 100;
/// Queues named in a message.
const MAX_NAMED: usize = 5;
/// Words of the state of an endpoint.
const STATES: [&str; 2] = ["active", "offline"];

/// What is known of an endpoint.
#[must_use]
pub fn read(row: &RseRow) -> Endpoint {
    let doc: Value = row.doc.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
    let flag = |key: &str, usual: bool| doc.get(key).and_then(lenient::boolean).unwrap_or(usual);
    Endpoint {
        active: row.state == STATES[0],
        readable: flag("read", true),
        writable: flag("write", true),
        free_gb: doc.get("space_free_gb").and_then(lenient::int),
        is_tape: flag("is_tape", false),
        is_nucleus: flag("nucleus", false),
    }
}

fn shown(row: &RseRow) -> Value {
    let e = read(row);
    json!({
        "name": row.name, "root": row.root, "state": row.state, "read": e.readable, "write": e.writable, "space_free_gb": e.free_gb,
        "is_tape": e.is_tape, "nucleus": e.is_nucleus,
    })
}

/// Every endpoint and way: `{"endpoints": [{"name", "root", "state", "read", "write", "space_free_gb", "is_tape", "nucleus"}], "links": [{"from",
/// "to", "cost", "mbps", "queued"}]}`.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let queues = ops.queues().await?;
    let mut rows: Vec<_> = queues.rses.values().collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let links = queue::links(&ops.store).await?;
    Ok(json!({
        "endpoints": rows.iter().map(|r| shown(r)).collect::<Vec<_>>(), "links": links.iter().map(way).collect::<Vec<_>>(),
    }))
}

fn way(l: &LinkRow) -> Value {
    json!({"from": l.src, "to": l.dst, "cost": l.cost, "mbps": l.mbps, "queued": l.queued})
}

/// One endpoint: as in [`list`], and `"queues"` (names of those whose files lie there), `"links"` (ways from and to it).
pub async fn show(ops: &Ops, who: &Principal, name: &str) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let queues = ops.queues().await?;
    let row = queues.rses.values().find(|r| r.name == name).ok_or_else(|| missing(name))?;
    let mut out = shown(row);
    let users: Vec<String> = queues.sorted().iter().filter(|q| q.rse_id == row.id).map(|q| q.name.clone()).collect();
    let links = queue::links(&ops.store).await?;
    let links: Vec<Value> = links.iter().filter(|l| l.src == name || l.dst == name).map(way).collect();
    (out["queues"], out["links"]) = (json!(users), json!(links));
    Ok(out)
}

fn missing(name: &str) -> OpsError {
    OpsError::NotFound(format!("storage endpoint `{name}` does not exist; `panda storage list` shows those that do"))
}

/// Makes an endpoint in `root`, an absolute directory; `values` as for [`set`]. Operators.
pub async fn add(ops: &Ops, who: &Principal, name: &str, root: &str, values: &Map<String, Value>) -> Result<Value, OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    let queues = ops.queues_changed().await?;
    if queues.rses.values().any(|r| r.name == name) {
        return Err(OpsError::refused(format!("storage endpoint `{name}` exists; `panda storage set {name} KEY=VALUE` changes it")));
    }
    if let Some(other) = queues.rses.values().find(|r| r.root == root.trim_end_matches('/')) {
        return Err(OpsError::refused(format!(
            "{root} is the directory of storage endpoint `{}`: two would share their files",
            other.name
        )));
    }
    let mut values = values.clone();
    values.insert("root".into(), root.into());
    let mut row = new(ops, name, &values).await?;
    apply(&mut row, &values)?;
    let mut batch = Batch::new();
    queue::add_rse(&mut batch, &row);
    match ops.store.apply(batch).await {
        Ok(()) => {}
        Err(e) if e.is_conflict() => return Err(OpsError::refused(format!("storage endpoint `{name}` exists now: somebody else made it"))),
        Err(e) => return Err(e.into()),
    }
    tracing::info!(name, root, by = who.name, "storage endpoint added");
    ops.queues_changed().await?;
    Ok(shown(&row))
}

/// Takes an endpoint out that nothing uses: no queue, no way, no live task, no file of a data set. Its directory stays. Operators.
pub async fn remove(ops: &Ops, who: &Principal, name: &str) -> Result<(), OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    let queues = ops.queues_changed().await?;
    let row = queues.rses.values().find(|r| r.name == name).ok_or_else(|| missing(name))?;
    if let Some(used) = used(ops, row).await? {
        return Err(OpsError::refused(format!("storage endpoint `{name}` is in use: {used}")));
    }
    let mut batch = Batch::new();
    queue::delete_rse(&mut batch, row);
    match ops.store.apply(batch).await {
        Ok(()) => {}
        Err(e) if e.is_conflict() => {
            return Err(OpsError::refused(format!(
                "storage endpoint `{name}` is in use since a moment ago; look with `panda storage show {name}`"
            )));
        }
        Err(e) => return Err(e.into()),
    }
    tracing::info!(name, by = who.name, "storage endpoint removed");
    ops.queues_changed().await.map(|_| ())
}

/// What uses an endpoint, and what to do about it.
async fn used(ops: &Ops, row: &RseRow) -> Result<Option<String>, OpsError> {
    let (queues, name) = (ops.queues_changed().await?, row.name.as_str());
    let users: Vec<String> = queues.sorted().iter().filter(|q| q.rse_id == row.id).map(|q| q.name.clone()).collect();
    if !users.is_empty() {
        let names = users.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = users.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} others") } else { String::new() };
        return Ok(Some(format!("queue {names}{more}; `panda queue set NAME storage=DIRECTORY` gives a queue another one")));
    }
    let links = queue::links(&ops.store).await?;
    if let Some(l) = links.iter().find(|l| l.src == name || l.dst == name) {
        return Ok(Some(format!("there is a way from {0} to {1}; `panda storage unlink {0} {1}` takes it out", l.src, l.dst)));
    }
    if let Some(task) = queue::rse_task(&ops.store, name).await? {
        return Ok(Some(format!("task/{task} keeps its outputs there; wait for its end, or move it with `task/reassign`")));
    }
    let files = queue::rse_files(&ops.store, row).await?;
    Ok(files.then(|| "files of data sets or outputs of tasks lie there; `state=offline` keeps new ones away".to_owned()))
}

/// Changes what is known of an endpoint: `state` (`active`, `offline`), `read`, `write`, `space_free_gb`, `is_tape`, `nucleus`; null forgets.
/// An endpoint that does not exist is made when `root`, its absolute directory, is given. Operators.
pub async fn set(ops: &Ops, who: &Principal, name: &str, values: &Map<String, Value>) -> Result<Value, OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    for _ in 0..MAX_CONFLICTS {
        let queues = ops.queues_changed().await?;
        let known = queues.rses.values().find(|r| r.name == name).map(|r| RseRow::clone(r));
        let is_new = known.is_none();
        let mut row = match known {
            Some(row) => row,
            None => new(ops, name, values).await?,
        };
        apply(&mut row, values)?;
        let mut batch = Batch::new();
        if is_new {
            queue::add_rse(&mut batch, &row)
        } else {
            queue::set_rse(&mut batch, &row)
        }
        match ops.store.apply(batch).await {
            Ok(()) => {
                ops.queues_changed().await?;
                return Ok(shown(&row));
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("storage endpoint {name} changes all the time; try again")))
}

async fn new(ops: &Ops, name: &str, values: &Map<String, Value>) -> Result<RseRow, OpsError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
        return Err(OpsError::refused(format!("`{name}` is no endpoint name; use letters, digits, `_`, `-`, `.`, at most {MAX_NAME}")));
    }
    let root = values.get("root").and_then(Value::as_str).filter(|r| Path::new(r).is_absolute()).map(str::to_owned);
    let root = root.ok_or_else(|| {
        OpsError::refused(format!("storage endpoint `{name}` does not exist; give `root=/absolute/directory` to make it"))
    })?;
    let made = root.clone();
    tokio::task::spawn_blocking(move || std::fs::create_dir_all(made))
        .await
        .map_err(|e| OpsError::Internal(format!("making storage stopped: {e}")))?
        .map_err(|source| OpsError::File { what: format!("making storage {root}"), source })?;
    Ok(RseRow { id: ops.store.id(IdKind::Row).await?, name: name.to_owned(), root, state: STATES[0].into(), doc: None })
}

fn apply(row: &mut RseRow, values: &Map<String, Value>) -> Result<(), OpsError> {
    let mut doc: Map<String, Value> = row.doc.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
    for (key, value) in values {
        let wrong = |what: &str| OpsError::refused(format!("{key}: {value} is {what}"));
        match key.as_str() {
            "state" => {
                let state = value.as_str().and_then(|s| STATES.iter().find(|k| **k == s));
                row.state = (*state.ok_or_else(|| wrong("neither active nor offline"))?).to_owned();
            }
            "root" if value.as_str() == Some(&row.root) => {}
            "root" => return Err(OpsError::refused(format!("root: an endpoint keeps its directory {}", row.root))),
            "read" | "write" | "is_tape" | "nucleus" | "space_free_gb" if value.is_null() => drop(doc.shift_remove(key)),
            "read" | "write" | "is_tape" | "nucleus" => {
                let flag = lenient::boolean(value).ok_or_else(|| wrong("neither true nor false"))?;
                doc.insert(key.clone(), flag.into());
            }
            "space_free_gb" => {
                let gb = lenient::int(value).filter(|n| *n >= 0).ok_or_else(|| wrong("no number of at least 0"))?;
                doc.insert(key.clone(), gb.into());
            }
            _ => {
                return Err(OpsError::refused(format!(
                    "unknown key `{key}`; an endpoint has state, read, write, space_free_gb, is_tape, nucleus"
                )));
            }
        }
    }
    row.doc = if doc.is_empty() { None } else { Some(Value::Object(doc).to_string()) };
    Ok(())
}

/// Tells of a way between two endpoints, or takes it out (`cost` none). Operators.
pub async fn link(
    ops: &Ops,
    who: &Principal,
    src: &str,
    dst: &str,
    cost: Option<i64>,
    mbps: Option<i64>,
    queued: i64,
) -> Result<(), OpsError> {
    table::allowed(Right::SystemChange, Some(who), None)?;
    let queues = ops.queues_changed().await?;
    for name in [src, dst] {
        if !queues.rses.values().any(|r| r.name == name) {
            return Err(missing(name));
        }
    }
    if src == dst || cost.is_some_and(|c| c < 0) || mbps.is_some_and(|m| m < 1) || queued < 0 {
        return Err(OpsError::refused("a way has two ends, a cost and a queue of at least 0, and a speed of at least 1 Mbit/s"));
    }
    let mut batch = Batch::new();
    match cost {
        Some(cost) => {
            let row = LinkRow { src: src.into(), dst: dst.into(), cost, mbps, queued, at_us: ops.now().0 };
            queue::set_link(&mut batch, &row);
        }
        None => queue::delete_link(&mut batch, src, dst),
    }
    ops.store.apply(batch).await?;
    ops.queues_changed().await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use panda_core::task::state::TaskState;
    use panda_store::query::task::{self, TaskRow};

    use super::*;
    use crate::testing::{World, alice, operator};

    fn values(v: &Value) -> Map<String, Value> {
        v.as_object().cloned().unwrap()
    }

    #[tokio::test]
    async fn endpoints_and_ways_are_told_and_seen_by_the_broker() {
        let w = World::new().await;
        w.queue("A").await;
        assert!(set(&w.ops, &alice(), "A_DISK", &Map::new()).await.is_err());
        let got =
            set(&w.ops, &operator(), "A_DISK", &values(&json!({"write": "false", "space_free_gb": 7, "nucleus": true}))).await.unwrap();
        assert_eq!((got["write"].as_bool(), got["space_free_gb"].as_i64(), got["read"].as_bool()), (Some(false), Some(7), Some(true)));
        let root = w.path("far").display().to_string();
        set(&w.ops, &operator(), "FAR", &values(&json!({ "root": root }))).await.unwrap();
        link(&w.ops, &operator(), "FAR", "A_DISK", Some(3), Some(100), 0).await.unwrap();
        let storages = w.ops.queues().await.unwrap().storages.clone();
        let a = &storages.endpoints["A_DISK"];
        assert_eq!((a.writable, a.free_gb, a.is_nucleus, a.active), (false, Some(7), true, true));
        assert_eq!(storages.between("FAR", "A_DISK").map(|l| (l.cost, l.mbps)), Some((3, Some(100))));
        let all = list(&w.ops, &alice()).await.unwrap();
        assert_eq!((all["endpoints"].as_array().unwrap().len(), all["links"][0]["from"].as_str()), (2, Some("FAR")));
        link(&w.ops, &operator(), "FAR", "A_DISK", None, None, 0).await.unwrap();
        let back =
            set(&w.ops, &operator(), "A_DISK", &values(&json!({"write": null, "space_free_gb": null, "nucleus": null}))).await.unwrap();
        assert_eq!((back["write"].as_bool(), back["space_free_gb"].is_null()), (Some(true), true));
        assert_eq!(w.ops.queues().await.unwrap().storages.links().count(), 0);
        for (name, v, want) in [
            ("NEW", json!({}), "does not exist; give `root=/absolute/directory`"),
            ("A_DISK", json!({"colour": 1}), "unknown key `colour`"),
            ("A_DISK", json!({"state": "gone"}), "neither active nor offline"),
            ("A_DISK", json!({"space_free_gb": -1}), "no number of at least 0"),
            ("A_DISK", json!({"root": "/elsewhere"}), "keeps its directory"),
            ("a b", json!({"root": "/x"}), "no endpoint name"),
        ] {
            let e = set(&w.ops, &operator(), name, &values(&v)).await.unwrap_err().to_string();
            assert!(e.contains(want), "{e}");
        }
        assert!(link(&w.ops, &operator(), "FAR", "FAR", Some(1), None, 0).await.is_err());
        assert!(link(&w.ops, &operator(), "FAR", "NONE", Some(1), None, 0).await.unwrap_err().to_string().contains("does not exist"));
    }

    #[tokio::test]
    async fn an_endpoint_is_removed_when_nothing_uses_it() {
        let w = World::new().await;
        w.queue("A").await;
        let root = w.path("far").display().to_string();
        let none = Map::new();
        assert!(add(&w.ops, &alice(), "FAR", &root, &none).await.is_err(), "not for everybody");
        let made = add(&w.ops, &operator(), "FAR", &root, &values(&json!({"is_tape": true, "state": "offline"}))).await.unwrap();
        assert_eq!((&made["state"], &made["is_tape"], &made["root"]), (&json!("offline"), &json!(true), &json!(root)));
        assert!(Path::new(&root).is_dir());
        let said = async |name: &str, root: &str| add(&w.ops, &operator(), name, root, &none).await.unwrap_err().to_string();
        assert!(said("FAR", "/x").await.contains("`panda storage set FAR KEY=VALUE` changes it"));
        assert!(said("NEAR", &format!("{root}/")).await.contains("is the directory of storage endpoint `FAR`"));
        assert!(said("NEAR", "x/y").await.contains("root=/absolute/directory"));
        link(&w.ops, &operator(), "FAR", "A_DISK", Some(3), None, 0).await.unwrap();
        let a = show(&w.ops, &alice(), "A_DISK").await.unwrap();
        assert_eq!((&a["queues"], &a["links"][0]["cost"]), (&json!(["A"]), &json!(3)));
        let refused = async |name: &str| remove(&w.ops, &operator(), name).await.unwrap_err().to_string();
        assert!(refused("A_DISK").await.contains("in use: queue A; `panda queue set NAME storage=DIRECTORY`"));
        assert!(refused("FAR").await.contains("`panda storage unlink FAR A_DISK`"));
        assert!(refused("NONE").await.contains("does not exist"));
        link(&w.ops, &operator(), "FAR", "A_DISK", None, None, 0).await.unwrap();
        let id = w.task(&alice(), TaskState::Running, "{}").await;
        let t = w.task_row(id).await;
        let mut batch = Batch::new();
        let there = TaskRow { nucleus: Some("FAR".into()), ..t.clone() };
        task::transition::set(&mut batch, &t, &there, w.ops.now().0);
        w.ops.store.apply(batch).await.unwrap();
        assert!(refused("FAR").await.contains(&format!("task/{id} keeps its outputs there")));
        let (t, mut batch) = (w.task_row(id).await, Batch::new());
        task::transition::set(&mut batch, &t, &TaskRow { nucleus: None, ..t.clone() }, w.ops.now().0);
        w.ops.store.apply(batch).await.unwrap();
        // A file there, named by its address only.
        let file = |surl: &str| {
            let mut batch = Batch::new();
            let f = panda_store::query::dataset::DatasetFile {
                id: 77,
                dataset_id: 5,
                lfn: "a".into(),
                scope: "s".into(),
                guid: None,
                fsize: None,
                checksum: None,
                n_events: None,
                surl: Some(surl.to_owned()),
                rse: None,
                lumiblock: None,
                boundary: None,
                lost: false,
            };
            panda_store::query::dataset::add_file(&mut batch, &f);
            batch
        };
        let mut row = w.ops.queues().await.unwrap().rses.values().find(|r| r.name == "FAR").map(|r| RseRow::clone(r)).unwrap();
        w.ops.store.apply(file(&format!("file://localhost{root}er/s/a"))).await.unwrap();
        assert!(!queue::rse_files(&w.ops.store, &row).await.unwrap(), "a directory whose name begins the same");
        row.root.push_str("er");
        assert!(queue::rse_files(&w.ops.store, &row).await.unwrap());
        remove(&w.ops, &operator(), "FAR").await.unwrap();
        assert!(show(&w.ops, &alice(), "FAR").await.unwrap_err().to_string().contains("does not exist"));
        // What began to be used after it was looked at stays.
        let row = w.ops.queues().await.unwrap().rses.values().find(|r| r.name == "A_DISK").map(|r| RseRow::clone(r)).unwrap();
        let mut batch = Batch::new();
        queue::delete_rse(&mut batch, &row);
        assert!(w.ops.store.apply(batch).await.unwrap_err().is_conflict());
    }
}

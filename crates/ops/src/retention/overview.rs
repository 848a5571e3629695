//! Everything about what is kept, for people who look at it: what there is, what would go now, how large tables and disks are, and the
//! settings that say how long.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use panda_access::{Principal, Right, table};
use panda_store::query::{archive::shift, task};
use serde_json::{Value, json};

use super::{Class, report};
use crate::{Ops, OpsError, clock, live::Kept, setting, statistics};

/// How old the answer may be, microseconds: making it looks through folders and tables.
const AGE_US: i64 = 60_000_000;
/// How long a file system may take to tell its size: one that hangs must not hold the answer back.
const DISK_WAIT: Duration = Duration::from_secs(3);
/// Most storage endpoints whose file systems are asked.
const MAX_DISKS: usize = 50;

#[derive(Debug, Default)]
struct Held(Kept<Value>);

/// At most a minute old: `{"at", "kept"` (as [`report::list`])`, "due"` (as [`report::due`])`, "rows": [{"table", "active", "archived"}],
/// "archive": [{"vo", "kind", "rows", "bytes"}], "disks": [{"what", "path", "bytes", "free"}], "more_disks", "settings": [{"setting", "default",
/// "about", "given": [{"vo", "label", "days"}]}]}`. Rows are those of tasks and jobs, active and archived; sizes of a disk are null when it did
/// not answer.
pub async fn show(ops: &Ops, who: &Principal) -> Result<Arc<Value>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    ops.live.of::<Held>().0.get(ops.now().0, AGE_US, read(ops, who)).await
}

async fn read(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    let sizes = shift::sizes(&ops.store).await?;
    let archive: Vec<Value> =
        sizes.iter().map(|(vo, kind, rows, bytes)| json!({"vo": vo, "kind": kind, "rows": rows, "bytes": bytes})).collect();
    let (disks, more) = disks(ops).await?;
    Ok(json!({
        "at": clock::text(ops.now().0), "kept": report::list(ops, who).await?, "due": report::due(ops, who).await?,
        "rows": rows(ops, &sizes).await?, "archive": archive, "disks": disks, "more_disks": more, "settings": settings(ops, who).await?,
    }))
}

async fn rows(ops: &Ops, sizes: &[(String, String, i64, i64)]) -> Result<Vec<Value>, OpsError> {
    let archived = |kind: &str| sizes.iter().filter(|s| s.1 == kind).map(|s| s.2).sum::<i64>();
    let tasks: i64 = task::page::counts(&ops.store).await?.iter().map(|(_, n)| n).sum();
    let jobs: i64 = statistics::counts(ops).await?.iter().map(|c| c.n).sum();
    Ok(vec![
        json!({"table": "tasks", "active": tasks, "archived": archived(shift::TASKS)}),
        json!({"table": "jobs", "active": jobs, "archived": archived(shift::JOBS)}),
    ])
}

/// The file systems of the data directory and of the storage endpoints.
async fn disks(ops: &Ops) -> Result<(Vec<Value>, usize), OpsError> {
    let queues = ops.queues().await?;
    let mut places: Vec<(String, PathBuf)> =
        queues.rses.values().map(|r| (format!("storage {}", r.name), PathBuf::from(&r.root))).collect();
    places.sort();
    places.insert(0, ("data".to_owned(), ops.options.data_dir.clone()));
    let more = places.len().saturating_sub(MAX_DISKS);
    let mut out = Vec::new();
    for (what, path) in places.into_iter().take(MAX_DISKS) {
        let asked = path.clone();
        let answer = tokio::time::timeout(DISK_WAIT, tokio::task::spawn_blocking(move || rustix::fs::statvfs(&asked))).await;
        let size = answer.ok().and_then(Result::ok).and_then(Result::ok).map(|s| {
            let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(s.f_frsize)).unwrap_or(i64::MAX);
            (bytes(s.f_blocks), bytes(s.f_bavail))
        });
        out.push(json!({"what": what, "path": path.display().to_string(), "bytes": size.map(|s| s.0), "free": size.map(|s| s.1)}));
    }
    Ok((out, more))
}

/// The settings that say how long what is kept, each once, with the values given for VOs and labels.
async fn settings(ops: &Ops, who: &Principal) -> Result<Vec<Value>, OpsError> {
    let names: BTreeMap<&str, usize> = Class::ALL.iter().filter_map(|c| c.setting()).enumerate().map(|(at, s)| (s.name, at)).collect();
    let mut all = setting::list(ops, who, "").await?;
    all.retain(|s| names.contains_key(s.setting.name) || s.setting.name.starts_with("archive."));
    let given =
        |s: &setting::Shown| s.given.iter().map(|(vo, label, days)| json!({"vo": vo, "label": label, "days": days})).collect::<Vec<_>>();
    let one = |s: &setting::Shown| json!({"setting": s.setting.name, "default": s.setting.default.text(), "about": s.setting.about, "given": given(s)});
    Ok(all.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, operator};
    use panda_core::{job::state::JobState, task::state::TaskState};

    #[tokio::test]
    async fn what_is_kept_is_told_with_its_sizes() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        w.job(&alice(), Some(t), q, JobState::Running).await;
        w.job(&alice(), Some(t), q, JobState::Finished).await;
        setting::set(&w.ops, &operator(), "archive.keep_days", "amber", "", "365").await.unwrap();
        let seen = show(&w.ops, &alice()).await.unwrap();
        let rows = json!([{"table": "tasks", "active": 1, "archived": 0}, {"table": "jobs", "active": 2, "archived": 0}]);
        assert_eq!((&seen["rows"], &seen["due"], &seen["archive"]), (&rows, &json!([]), &json!([])));
        let disks = seen["disks"].as_array().unwrap();
        assert_eq!(disks.iter().map(|d| d["what"].as_str().unwrap()).collect::<Vec<_>>(), ["data", "storage LOCAL_DISK"]);
        assert!(disks[0]["bytes"].as_i64() > disks[0]["free"].as_i64() && disks[0]["free"].as_i64() > Some(0), "{disks:?}");
        let keep = seen["settings"].as_array().unwrap().iter().find(|s| s["setting"] == "archive.keep_days").unwrap();
        assert_eq!((&keep["default"], &keep["given"]), (&json!("0"), &json!([{"vo": "amber", "label": "*", "days": "365"}])));
        let names: Vec<&str> = seen["settings"].as_array().unwrap().iter().map(|s| s["setting"].as_str().unwrap()).collect();
        for class in Class::ALL.iter().filter_map(|c| c.setting()) {
            assert_eq!(names.iter().filter(|n| **n == class.name).count(), 1, "{}", class.name);
        }
        w.task(&alice(), TaskState::Running, "{}").await;
        assert_eq!(show(&w.ops, &alice()).await.unwrap()["rows"], rows, "a minute old at most");
        w.pass(61);
        assert_eq!(show(&w.ops, &alice()).await.unwrap()["rows"][0]["active"], 2);
    }
}

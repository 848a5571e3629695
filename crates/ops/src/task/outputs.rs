//! Outputs of tasks and jobs: lists, and opening one for download.

use std::path::{Path, PathBuf};

use panda_access::Principal;
use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, TaskId},
};
use panda_store::query::{MAX_PAGE, archive, job::file::JobFile, task::dataset::TaskDataset};
use serde_json::{Value, json};

use crate::{Ops, OpsError, storage};

/// Most files of one answer; the next page starts behind the last one's number.
pub const MAX_FILES: i64 = 5_000;

/// A file opened for download.
#[derive(Debug)]
pub struct Opened {
    /// Name.
    pub lfn: String,
    /// The open file.
    pub file: std::fs::File,
    /// Bytes, as they are now.
    pub size: u64,
    /// `ad:` or `md5:` and hex digits, as registered.
    pub checksum: Option<String>,
}

/// `{"task_id", "state", "datasets": [{"id", "name", "role", "n_files", "n_finished", "n_failed", "files": [{"id", "lfn", "scope", "state",
/// "size", "checksum", "guid", "surl", "job_id"}]}], "next": text}`: final outputs and logs, at most `limit` and [`MAX_FILES`] files a page. `next`
/// is null on the last page, else the `after` of the next one.
pub async fn list(ops: &Ops, who: &Principal, id: TaskId, after: Option<&str>, limit: i64) -> Result<Value, OpsError> {
    let task = super::read::row(ops, who, id).await?;
    let (first, from_file) = after.map(cursor).transpose()?.unwrap_or_default();
    let mut left = limit.clamp(1, MAX_FILES);
    let (mut datasets, mut next) = (Vec::new(), None);
    for d in shown(ops, id).await?.into_iter().skip_while(|d| first != 0 && d.id != first) {
        if left == 0 {
            break;
        }
        let mut files: Vec<JobFile> = Vec::new();
        let start = if d.id == first { from_file } else { 0 };
        while left > 0 {
            let from = files.last().map_or(start, |f| f.id);
            let page = archive::job::files_of_dataset(&ops.store, d.id, FileState::ALL, from, left.min(MAX_PAGE)).await?;
            if page.is_empty() {
                break;
            }
            left -= i64::try_from(page.len()).unwrap_or(left);
            files.extend(page);
        }
        if left == 0 {
            next = files.last().map(|f| format!("{}:{}", d.id, f.id));
        }
        datasets.push(json!({
            "id": d.id, "name": d.name, "role": d.role.as_str(),
            "n_files": d.n_files, "n_finished": d.n_finished, "n_failed": d.n_failed,
            "files": files.iter().map(line).collect::<Value>(),
        }));
    }
    Ok(json!({"task_id": id.0, "state": task.state.as_str(), "datasets": datasets, "next": next}))
}

/// Where a page starts: behind this file of this data set.
fn cursor(text: &str) -> Result<(i64, i64), OpsError> {
    let parts = text.split_once(':').and_then(|(d, f)| Some((d.parse().ok()?, f.parse().ok()?)));
    parts.ok_or_else(|| OpsError::refused(format!("after: `{text}` is no place in this list; give the `next` of the page before")))
}

/// Outputs and log of one job, as the `files` of [`list`].
pub async fn of_job(ops: &Ops, who: &Principal, id: JobId) -> Result<Value, OpsError> {
    crate::job::read::row(ops, who, id).await?;
    let files = archive::job::files_of(&ops.store, &[id]).await?;
    let files = files.iter().filter(|f| f.role.is_output()).map(line).collect::<Value>();
    Ok(json!({"job_id": id.0, "files": files}))
}

async fn shown(ops: &Ops, id: TaskId) -> Result<Vec<TaskDataset>, OpsError> {
    let datasets = archive::task::datasets(&ops.store, id).await?;
    Ok(datasets.into_iter().filter(|d| matches!(d.role, FileRole::Output | FileRole::Log)).collect())
}

fn line(f: &JobFile) -> Value {
    json!({
        "id": f.id, "lfn": f.lfn, "scope": f.scope, "role": f.role.as_str(), "state": f.state.as_str(), "size": f.fsize,
        "checksum": f.checksum, "guid": f.guid, "surl": f.surl, "job_id": f.job_id.0,
    })
}

/// Opens a stored output by its number.
pub async fn open(ops: &Ops, who: &Principal, file: i64) -> Result<Opened, OpsError> {
    let missing = || OpsError::NotFound(format!("file {file} not found"));
    let row = archive::job::file(&ops.store, file).await?.ok_or_else(missing)?;
    crate::job::read::seen(ops, who, row.job_id).await?.ok_or_else(missing)?;
    open_row(ops, &row).await
}

/// Opens a task's output by its name.
pub async fn open_named(ops: &Ops, who: &Principal, id: TaskId, lfn: &str) -> Result<Opened, OpsError> {
    super::read::row(ops, who, id).await?;
    for d in shown(ops, id).await? {
        if let Some(row) = archive::job::file_by_lfn(&ops.store, d.id, lfn).await? {
            return open_row(ops, &row).await;
        }
    }
    Err(OpsError::NotFound(format!("task {id} has no output `{lfn}`; `panda outputs task/{id}` lists them")))
}

async fn open_row(ops: &Ops, row: &JobFile) -> Result<Opened, OpsError> {
    let missing = |why: String| OpsError::NotFound(format!("`{}` cannot be fetched: {why}", row.lfn));
    let surl = row.surl.as_deref().ok_or_else(|| missing(format!("it is {}, nothing is stored", row.state)))?;
    let path = storage::local_path(surl).ok_or_else(|| missing(format!("it lies at {surl}, which this server does not reach")))?;
    let roots: Vec<PathBuf> = ops.queues().await?.rses.values().map(|r| PathBuf::from(&r.root)).collect();
    let (lfn, checksum) = (row.lfn.clone(), row.checksum.clone());
    let opened = tokio::task::spawn_blocking(move || open_inside(&path, &roots)).await;
    let (file, size) = opened.map_err(|e| OpsError::Internal(format!("opening stopped: {e}")))?.map_err(missing)?;
    Ok(Opened { lfn, file, size, checksum })
}

/// Opens a regular file that lies, links followed, below one of the storage roots: addresses come from pilots.
fn open_inside(path: &Path, roots: &[PathBuf]) -> Result<(std::fs::File, u64), String> {
    let real = path.canonicalize().map_err(|e| e.to_string())?;
    let inside = roots.iter().filter_map(|r| r.canonicalize().ok()).any(|r| real.starts_with(r));
    if !inside {
        return Err("it lies outside the storage of this installation".into());
    }
    let file = std::fs::File::open(&real).map_err(|e| e.to_string())?;
    let meta = file.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is no regular file".into());
    }
    Ok((file, meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::{job::state::JobState, task::state::TaskState};
    use panda_store::{Batch, query::job};

    #[tokio::test]
    async fn only_files_in_storage_are_opened() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        let d = w.dataset(t, FileRole::Output, 1, &[]).await;
        let j = w.job(&alice(), Some(t), q, JobState::Finished).await;
        let root = w.path("storage");
        std::fs::write(root.join("a.txt"), "abc").unwrap();
        std::fs::write(w.path("secret"), "no").unwrap();
        std::os::unix::fs::symlink(w.path("secret"), root.join("link")).unwrap();
        let mut batch = Batch::new();
        let places = [
            ("a.txt", Some(storage::surl(&root.join("a.txt")))),
            ("up", Some(format!("file://localhost{}/../secret", root.display()))),
            ("link", Some(storage::surl(&root.join("link")))),
            ("far", Some("root://x//y".into())),
            ("none", None),
        ];
        for (i, (lfn, surl)) in places.into_iter().enumerate() {
            let f = JobFile {
                id: w.row_id().await,
                job_id: j,
                task_id: Some(t),
                dataset_id: Some(d),
                role: FileRole::Output,
                seq: i64::try_from(i).unwrap(),
                lfn: lfn.into(),
                scope: Some("user.alice".into()),
                guid: None,
                fsize: Some(3),
                checksum: Some("ad:024d0127".into()),
                surl,
                n_events: None,
                state: FileState::Finished,
                optional: false,
                attempt: 0,
                used_by: None,
            };
            job::file::add(&mut batch, &f);
        }
        w.ops.store.apply(batch).await.unwrap();
        let got = list(&w.ops, &bob(), t, None, 100).await.unwrap();
        assert_eq!((got["datasets"][0]["files"].as_array().unwrap().len(), &got["next"]), (5, &Value::Null));
        let first = list(&w.ops, &bob(), t, None, 3).await.unwrap();
        let second = list(&w.ops, &bob(), t, first["next"].as_str(), 3).await.unwrap();
        let lfns = |v: &Value| {
            v["datasets"][0]["files"].as_array().unwrap().iter().map(|f| f["lfn"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((lfns(&first).len(), lfns(&second), &second["next"]), (3, vec!["far".to_owned(), "none".to_owned()], &Value::Null));
        assert!(list(&w.ops, &bob(), t, Some("x"), 3).await.is_err());
        let opened = open_named(&w.ops, &bob(), t, "a.txt").await.unwrap();
        assert_eq!((opened.size, opened.checksum.as_deref()), (3, Some("ad:024d0127")));
        for lfn in ["up", "link"] {
            let e = open_named(&w.ops, &bob(), t, lfn).await.unwrap_err().to_string();
            assert!(e.contains("outside the storage"), "{lfn}: {e}");
        }
        for lfn in ["far", "none", "nosuch"] {
            assert!(matches!(open_named(&w.ops, &bob(), t, lfn).await, Err(OpsError::NotFound(_))), "{lfn}");
        }
        assert_eq!(of_job(&w.ops, &bob(), j).await.unwrap()["files"].as_array().unwrap().len(), 5);
    }
}

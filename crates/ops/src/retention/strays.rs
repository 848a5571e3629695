//! Stored outputs of attempts that failed: nobody registered them and nobody can find them. They go when their job goes into the archive, so that
//! each job is looked at once. Logs stay, they tell why the attempt failed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
};
use panda_store::{
    Batch, IdKind,
    query::{
        archive, dataset,
        job::{self, JobRow, file::JobFile},
        journal::{self, Line},
    },
};
use serde_json::json;

use super::{AREA, disk};
use crate::{Ops, OpsError, hold::ENGINE, storage};

/// Removes what failed attempts of these jobs (at most 500) left on the storage; the answer is the number of files.
pub(super) async fn remove(ops: &Ops, jobs: &[JobId]) -> Result<usize, OpsError> {
    let stray = |f: &JobFile| {
        f.task_id.is_some()
            && matches!(f.role, FileRole::Output | FileRole::TrnOutput)
            && matches!(f.state, FileState::Failed | FileState::Cancelled)
    };
    let files: Vec<JobFile> = job::file::of_jobs(&ops.store, jobs).await?.into_iter().filter(stray).collect();
    if files.is_empty() {
        return Ok(0);
    }
    let rows: HashMap<JobId, JobRow> = job::list::many(&ops.store, jobs).await?.into_iter().map(|j| (j.id, j)).collect();
    let queues = ops.queues().await?;
    let roots = disk::roots(ops).await?;
    let (mut removed, mut vo) = (0, String::new());
    for f in files {
        let Some(j) = rows.get(&f.job_id) else { continue };
        let root = j.queue_id.and_then(|q| queues.by_id.get(&q)).and_then(|q| queues.rses.get(&q.rse_id)).map(|r| PathBuf::from(&r.root));
        let place = |root: &Path| storage::surl(&storage::path(root, f.scope.as_deref().unwrap_or("panda"), &f.lfn));
        let Some(surl) = f.surl.clone().or_else(|| root.as_deref().map(place)) else { continue };
        if !exists(&surl).await? || wanted(ops, j, &f).await? {
            continue;
        }
        let roots = roots.clone();
        let gone = tokio::task::spawn_blocking(move || disk::delete_stored(&surl, &roots));
        removed += usize::from(gone.await.map_err(|e| OpsError::Internal(format!("removing a file stopped: {e}")))?);
        vo.clone_from(&j.vo);
    }
    if removed > 0 {
        let line = Line {
            id: ops.store.id(IdKind::Row).await?,
            at_us: ops.now().0,
            area: AREA.into(),
            what: "removed".into(),
            subject: "outputs of failed attempts".into(),
            who: ENGINE.into(),
            doc: Some(json!({"vo": vo, "rows": removed}).to_string()),
        };
        let mut batch = Batch::new();
        journal::add(&mut batch, &line);
        ops.store.apply(batch).await?;
    }
    Ok(removed)
}

async fn exists(surl: &str) -> Result<bool, OpsError> {
    match storage::local_path(surl) {
        Some(path) => Ok(tokio::fs::metadata(path).await.is_ok_and(|m| m.is_file())),
        None => Ok(false),
    }
}

/// Whether something of this name is registered after all: by another job of the task, or in the catalogue.
async fn wanted(ops: &Ops, j: &JobRow, f: &JobFile) -> Result<bool, OpsError> {
    let Some(set) = f.dataset_id else { return Ok(true) };
    if archive::job::file_by_lfn(&ops.store, set, &f.lfn).await?.is_some_and(|other| other.id != f.id) {
        return Ok(true);
    }
    let Some(task) = f.task_id else { return Ok(true) };
    let sets = archive::task::datasets(&ops.store, task).await?;
    let Some(name) = sets.iter().find(|d| d.id == set).map(|d| d.name.trim_end_matches('/')) else { return Ok(true) };
    let plain = name.split_once(':').map_or(name, |(_, n)| n);
    match dataset::by_name(&ops.store, &j.vo, plain).await? {
        Some(d) => Ok(dataset::file(&ops.store, d.id, &f.lfn).await?.is_some()),
        None => Ok(false),
    }
}

//! Requests to make lost output files of a task again: files that are registered but gone are found, and the inputs they were made from are tried
//! again when the request is no dry run.

use std::path::PathBuf;

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    file::{FileRole, FileState},
    id::TaskId,
};
use panda_store::{
    Batch,
    query::{
        MAX_PAGE, archive,
        cache::{self, CacheFile},
        job::file::JobFile,
    },
};
use uuid::Uuid;

use crate::{Ops, OpsError, clock, storage};

/// Most files that one request looks at.
const MAX_FILES: usize = 50_000;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The task.
    pub task_id: Option<i64>,
    /// Only look.
    pub dry_run: bool,
    /// Only outputs of this data set.
    pub dataset: Option<String>,
    /// Only these files.
    pub files: Option<Vec<String>>,
}

/// The answer: where the report can be read, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Address of the report, readable under `/cache`.
    pub log_url: String,
    /// For people.
    pub message: String,
    /// Files that are gone.
    pub lost: usize,
}

/// `upload_file_recovery_request`. Looks for the files at once and writes the report. Making them again is not done yet: the report says so, and
/// what to do instead.
pub async fn request(ops: &Ops, who: &Principal, r: &Request) -> Result<Accepted, OpsError> {
    let Some(id) = r.task_id.filter(|id| *id > 0) else {
        return Err(OpsError::refused("Either task_id or dataset must be provided; a data set alone is not enough here, give the task_id"));
    };
    let row = archive::task::find(&ops.store, TaskId(id)).await?;
    let owner = match &row {
        Some(t) => Some(ops.person_by_id(t.person_id).await?),
        None => None,
    };
    table::allowed(Right::FileRecovery, Some(who), row.as_ref().map(|t| Object::owned(owner.as_ref().map(|p| p.key()), &t.vo)))?;
    let t = row.ok_or_else(|| OpsError::NotFound(format!("jediTaskID={id} not found")))?;
    let registered = registered(ops, t.id, r).await?;
    let looked_at = registered.len();
    let lost =
        tokio::task::spawn_blocking(move || gone(registered)).await.map_err(|e| OpsError::Internal(format!("looking stopped: {e}")))?;
    let mut report = format!(
        "{} recovery of task {id} ({}): {looked_at} registered files looked at, {} lost\n",
        clock::text(ops.now().0),
        t.name,
        lost.len()
    );
    for (f, why) in &lost {
        report.push_str(&format!("lost: {} of job {}: {why}\n", f.lfn, f.job_id));
    }
    if !lost.is_empty() {
        report.push_str("lost files are not made again by themselves in this version; submit the task again over the same inputs\n");
    }
    let log_url = write(ops, who, &report).await?;
    let message = if r.dry_run || lost.is_empty() {
        format!("{} of {looked_at} registered files are lost", lost.len())
    } else {
        format!(
            "{} of {looked_at} registered files are lost; they are not made again by themselves in this version, see the report",
            lost.len()
        )
    };
    Ok(Accepted { log_url, message, lost: lost.len() })
}

/// Finished outputs of the task that the request means.
async fn registered(ops: &Ops, id: TaskId, r: &Request) -> Result<Vec<JobFile>, OpsError> {
    let name = |n: &str| n.rsplit(':').next().unwrap_or(n).trim_end_matches('/').to_owned();
    let only = r.dataset.as_deref().filter(|d| !d.is_empty()).map(name);
    let mut found: Vec<JobFile> = Vec::new();
    for d in archive::task::datasets(&ops.store, id).await? {
        if !matches!(d.role, FileRole::Output | FileRole::Log) || only.as_ref().is_some_and(|o| *o != name(&d.name)) {
            continue;
        }
        let mut after = 0;
        while found.len() < MAX_FILES {
            let page = archive::job::files_of_dataset(&ops.store, d.id, &[FileState::Finished], after, MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            found.extend(page.into_iter().filter(|f| r.files.as_ref().is_none_or(|only| only.contains(&f.lfn))));
        }
    }
    Ok(found)
}

/// Those that are not where they should be, or have another size; blocking.
fn gone(files: Vec<JobFile>) -> Vec<(JobFile, String)> {
    let problem = |f: &JobFile| -> Option<String> {
        let path: PathBuf = f.surl.as_deref().and_then(storage::local_path)?;
        match std::fs::metadata(&path) {
            Err(e) => Some(format!("{}: {e}", path.display())),
            Ok(meta) => {
                let wrong = f.fsize.is_some_and(|size| u64::try_from(size).ok() != Some(meta.len()));
                wrong.then(|| format!("{} has {} bytes", path.display(), meta.len()))
            }
        }
    };
    files.into_iter().filter_map(|f| problem(&f).map(|why| (f, why))).collect()
}

/// Keeps the report under `/cache` by an unguessable name.
async fn write(ops: &Ops, who: &Principal, report: &str) -> Result<String, OpsError> {
    let name = format!("recov.{}.log", Uuid::new_v4());
    let path = ops.blobs.cache_path(&name).ok_or_else(|| OpsError::Internal("a report has no name".into()))?;
    tokio::fs::write(&path, report).await.map_err(|source| OpsError::File { what: format!("writing {}", path.display()), source })?;
    let mut sum = adler2::Adler32::new();
    sum.write_slice(report.as_bytes());
    let row = CacheFile {
        name: name.clone(),
        person_id: ops.person(who).await?.id,
        vo: who.vo.clone(),
        fsize: i64::try_from(report.len()).unwrap_or(0),
        checksum: format!("ad:{:08x}", sum.checksum()),
        touched_us: ops.now().0,
    };
    let mut batch = Batch::new();
    cache::add(&mut batch, &row);
    ops.store.apply(batch).await?;
    Ok(format!("{}/cache/{name}", ops.options.base_url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::{job::state::JobState, task::state::TaskState};
    use panda_store::query::job;

    #[tokio::test]
    async fn lost_files_are_reported() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Done, "{}").await;
        let d = w.dataset(t, FileRole::Output, 1, &[]).await;
        let j = w.job(&alice(), Some(t), q, JobState::Finished).await;
        std::fs::write(w.path("storage/there"), "abc").unwrap();
        let mut batch = Batch::new();
        for (i, lfn) in ["there", "gone"].into_iter().enumerate() {
            let f = JobFile {
                id: w.row_id().await,
                job_id: j,
                task_id: Some(t),
                dataset_id: Some(d),
                role: FileRole::Output,
                seq: i64::try_from(i).unwrap(),
                lfn: lfn.into(),
                scope: None,
                guid: None,
                fsize: Some(3),
                checksum: None,
                surl: Some(storage::surl(&w.path("storage").join(lfn))),
                n_events: None,
                state: FileState::Finished,
                optional: false,
                attempt: 0,
                used_by: None,
            };
            job::file::add(&mut batch, &f);
        }
        w.ops.store.apply(batch).await.unwrap();
        let r = Request { task_id: Some(t.0), dry_run: true, ..Request::default() };
        assert!(matches!(request(&w.ops, &bob(), &r).await, Err(OpsError::Denied(_))));
        let got = request(&w.ops, &alice(), &r).await.unwrap();
        assert_eq!((got.lost, got.message.as_str()), (1, "1 of 2 registered files are lost"));
        let name = got.log_url.strip_prefix("http://127.0.0.1:25080/cache/").unwrap();
        let report = std::fs::read_to_string(w.ops.blobs.cache_path(name).unwrap()).unwrap();
        assert!(report.contains("lost: gone of job"), "{report}");
        let only = Request { files: Some(vec!["there".into()]), ..r };
        assert_eq!(request(&w.ops, &alice(), &only).await.unwrap().lost, 0);
        assert!(request(&w.ops, &alice(), &Request::default()).await.unwrap_err().to_string().contains("must be provided"));
    }
}

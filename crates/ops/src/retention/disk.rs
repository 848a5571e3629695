//! Files: sandboxes and other uploads with their rows, leftovers of uploads, live logs, pre-merge files on the storage.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    policy::retention::is_archive,
    setting::ANY,
};
use panda_store::{
    Batch,
    query::{archive, cache, old},
};

use super::{A_STEP, Class, Due, Key, Page, Rules};
use crate::{Ops, OpsError, storage};

/// Files without a row, and uploads that broke off, are kept so many days: the row of an upload follows its file.
pub(super) const LEFTOVER_DAYS: i64 = 2;
/// Most files that one look at a directory takes in; the next one goes on.
pub(super) const MAX_LOOKED_AT: usize = 100_000;
/// Data sets of pre-merge files of one step.
const SETS_A_STEP: i64 = 50;

/// A file with its size and the time of its last byte, microseconds UTC.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub path: PathBuf,
    pub bytes: i64,
    pub at_us: i64,
}

/// Regular files in `dir`, not below it; at most [`MAX_LOOKED_AT`].
pub(super) fn files(dir: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).into_iter().flatten().flatten().take(MAX_LOOKED_AT) {
        let Ok(meta) = item.metadata() else { continue };
        let at = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let Some(at) = at.filter(|_| meta.is_file()) {
            let at_us = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
            found.push(Found { path: item.path(), bytes: i64::try_from(meta.len()).unwrap_or(i64::MAX), at_us });
        }
    }
    found
}

/// Directories in `dir` whose names are numbers, by number.
pub(super) fn numbered(dir: &Path) -> Vec<(i64, PathBuf)> {
    let items = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<(i64, PathBuf)> = items.filter_map(|i| Some((i.file_name().to_str()?.parse().ok()?, i.path()))).collect();
    dirs.sort();
    dirs
}

/// The time of the machine whose file system the files lie on, which is what their times are compared with.
fn disk_now_us() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "compared with times of the same machine's file system, not with the system's own clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, OpsError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| OpsError::Internal(format!("looking at files stopped: {e}")))
}

/// Uploaded files that nobody used for long and no task names, the longest unused first.
pub(super) async fn find_uploads(ops: &Ops, rules: &Rules<'_>, class: Class, before: i64, from: i64) -> Result<Page, OpsError> {
    let found = cache::old(&ops.store, from, before, A_STEP as i64).await?;
    let next = if found.len() < A_STEP { None } else { found.last().map(|f| f.touched_us) };
    let mut due: Vec<Due> = Vec::new();
    for f in found.into_iter().filter(|f| is_archive(&f.name) == (class == Class::Sandboxes)) {
        let vo = f.vo.unwrap_or_default();
        if rules.due(class, &vo, ANY, f.touched_us) {
            due.push(Due { class, vo, name: f.name.clone(), since_us: f.touched_us, bytes: f.fsize, key: Key::Name(f.name) });
        }
    }
    let names: Vec<String> = due.iter().map(|d| d.name.clone()).collect();
    let used = cache::used(&ops.store, &names).await?;
    due.retain(|d| !used.contains(&d.name));
    Ok((due, next))
}

pub(super) async fn remove_uploads(ops: &Ops, due: &[Due]) -> Result<(), OpsError> {
    for d in due {
        // The row goes first: a file without a row is a leftover, a row without a file would be a promise broken.
        let mut batch = Batch::new();
        cache::delete_unused(&mut batch, &d.name, d.since_us);
        match ops.store.apply(batch).await {
            Ok(()) => {}
            // Used again a moment ago.
            Err(e) if e.is_conflict() => continue,
            Err(e) => return Err(e.into()),
        }
        if let Some(path) = ops.blobs.cache_path(&d.name) {
            blocking(move || delete(&path)).await?;
        }
    }
    Ok(())
}

/// Files in the folder of uploads that no row speaks of.
pub(super) async fn find_leftovers(ops: &Ops) -> Result<Page, OpsError> {
    let folder = ops.blobs.incoming();
    let cache_dir = folder.parent().map(Path::to_path_buf).unwrap_or_default();
    let before = disk_now_us() - LEFTOVER_DAYS * panda_core::policy::retention::DAY_US;
    let (temporary, cached) = blocking(move || (files(&folder), files(&cache_dir))).await?;
    let mut due = Vec::new();
    let one = |f: Found| Due {
        class: Class::Leftovers,
        vo: String::new(),
        name: f.path.display().to_string(),
        since_us: f.at_us,
        bytes: f.bytes,
        key: Key::File(f.path),
    };
    due.extend(temporary.into_iter().filter(|f| f.at_us < before).map(one));
    for f in cached.into_iter().filter(|f| f.at_us < before) {
        let name = f.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if cache::get(&ops.store, &name).await?.is_none() {
            due.push(one(f));
        }
    }
    due.truncate(A_STEP);
    Ok((due, None))
}

/// Live logs, a thousand jobs a page: their folder's number.
pub(super) async fn find_logs(ops: &Ops, rules: &Rules<'_>, before: i64, from: i64) -> Result<Page, OpsError> {
    let logs = ops.blobs.logs();
    // Times of files are compared with the file system's clock.
    let age = |at_us: i64| disk_now_us() - at_us;
    let least_age = rules.now_us - before;
    let page = blocking(move || {
        let (number, dir) = numbered(&logs).into_iter().find(|(n, _)| *n > from)?;
        let jobs: Vec<(i64, Vec<Found>)> = numbered(&dir).into_iter().map(|(job, dir)| (job, files(&dir))).collect();
        Some((number, jobs))
    });
    let Some((number, jobs)) = page.await? else { return Ok((Vec::new(), None)) };
    let old = |files: &Vec<Found>| files.iter().any(|f| age(f.at_us) >= least_age);
    let ids: Vec<JobId> = jobs.iter().filter(|(_, files)| old(files)).map(|(id, _)| JobId(*id)).collect();
    let mut known: BTreeMap<i64, (String, String)> = BTreeMap::new();
    for chunk in ids.chunks(A_STEP) {
        known.extend(archive::job::many(&ops.store, chunk).await?.into_iter().map(|j| (j.id.0, (j.vo, j.label))));
    }
    let mut due = Vec::new();
    for (job, files) in jobs.into_iter().filter(|(_, files)| old(files)) {
        let (vo, label) = known.get(&job).cloned().unwrap_or_default();
        for f in files.into_iter().filter(|f| rules.due(Class::Logs, &vo, &label, rules.now_us - age(f.at_us))) {
            let name = f.path.display().to_string();
            due.push(Due { class: Class::Logs, vo: vo.clone(), name, since_us: f.at_us, bytes: f.bytes, key: Key::File(f.path) });
        }
    }
    Ok((due, Some(number)))
}

pub(super) async fn remove_files(due: &[Due]) -> Result<(), OpsError> {
    let paths: Vec<PathBuf> = due.iter().filter_map(|d| if let Key::File(path) = &d.key { Some(path.clone()) } else { None }).collect();
    blocking(move || {
        paths.iter().for_each(|p| delete(p));
        // Directories of logs that are empty now; one that is not stays.
        let dirs: Vec<&Path> = paths.iter().filter_map(|p| p.parent()).collect();
        dirs.iter().for_each(|d| drop(std::fs::remove_dir(d)));
        dirs.iter().filter_map(|d| d.parent()).for_each(|d| drop(std::fs::remove_dir(d)));
    })
    .await
}

/// Data sets of pre-merge files of tasks that ended; merged ones go, and all of them when the task cannot be taken up again.
pub(super) async fn find_pre_merge(ops: &Ops, rules: &Rules<'_>, before: i64, from: i64) -> Result<Page, OpsError> {
    let mut sets = old::pre_merge(&ops.store, false, TaskId(from), before, SETS_A_STEP).await?;
    sets.extend(old::pre_merge(&ops.store, true, TaskId(from), before, SETS_A_STEP).await?);
    let next = (sets.len() as i64 >= SETS_A_STEP).then(|| sets.iter().map(|s| s.task.0).min()).flatten();
    let mut due = Vec::new();
    for s in sets.into_iter().filter(|s| rules.due(Class::PreMerge, &s.vo, &s.label, s.ended_us)) {
        let (n, bytes) = count(ops, &s).await?;
        let name = format!("{n} pre-merge files of task/{}", s.task);
        due.push(Due { class: Class::PreMerge, vo: s.vo.clone(), name, since_us: s.ended_us, bytes, key: Key::PreMerge(s) });
    }
    Ok((due, next))
}

fn states(s: &old::PreMerge) -> &'static [FileState] {
    if s.cold { FileState::ALL } else { &[FileState::Finished] }
}

pub(super) async fn count(ops: &Ops, s: &old::PreMerge) -> Result<(i64, i64), OpsError> {
    let all = archive::job::count_files(&ops.store, s.dataset).await?;
    let fits = all.iter().filter(|(state, _, _)| states(s).iter().any(|w| w.as_str() == state));
    Ok(fits.fold((0, 0), |sum, (_, n, bytes)| (sum.0 + n, sum.1 + bytes)))
}

pub(super) async fn remove_pre_merge(ops: &Ops, due: &[Due]) -> Result<(), OpsError> {
    let roots = roots(ops).await?;
    for d in due {
        let Key::PreMerge(s) = &d.key else { continue };
        let mut after = 0;
        loop {
            let files = archive::job::files_of_dataset(&ops.store, s.dataset, states(s), after, A_STEP as i64).await?;
            let Some(last) = files.last() else { break };
            after = last.id;
            let surls: Vec<String> = files.into_iter().filter_map(|f| f.surl).collect();
            let roots = roots.clone();
            blocking(move || surls.iter().filter(|s| delete_stored(s, &roots)).count()).await?;
        }
        let mut batch = Batch::new();
        old::cleaned(&mut batch, s);
        ops.store.apply(batch).await?;
    }
    Ok(())
}

/// Directories of the storage endpoints.
pub(super) async fn roots(ops: &Ops) -> Result<Vec<PathBuf>, OpsError> {
    Ok(ops.queues().await?.rses.values().filter_map(|r| PathBuf::from(&r.root).canonicalize().ok()).collect())
}

/// Deletes a stored file that lies, links followed, below one of the storage's directories: addresses come from pilots. Blocking; false when there
/// was none.
pub(super) fn delete_stored(surl: &str, roots: &[PathBuf]) -> bool {
    let Some(real) = storage::local_path(surl).and_then(|p| p.canonicalize().ok()) else { return false };
    let inside = real.is_file() && roots.iter().any(|r| real.starts_with(r));
    if inside {
        delete(&real);
    }
    inside
}

fn delete(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "not removed");
    }
}

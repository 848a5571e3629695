//! Removes uploaded files that nobody used for long, leftovers of broken uploads, and live logs of jobs that ended long ago.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use panda_store::{Batch, query::cache};

use crate::{Ops, OpsError};

/// Uploaded files are kept so long after their last use, seconds: tasks are retried for weeks.
pub const KEEP_CACHE_S: i64 = 60 * 86_400;
/// Files without a row are kept so long, seconds: the row of an upload follows its file.
pub const KEEP_ORPHANS_S: u64 = 2 * 86_400;
/// Live logs are kept so long after the last byte, seconds; the log archive of a job is an output and stays.
pub const KEEP_LOGS_S: u64 = 14 * 86_400;
/// Most files that one sweep looks at in a directory; the next one goes on.
const MAX_LOOKED_AT: usize = 100_000;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploaded files with their rows.
    pub cached: usize,
    /// Files without a row.
    pub orphans: usize,
    /// Live logs.
    pub logs: usize,
}

/// One sweep. Bounded; run it every hour or so.
pub async fn sweep(ops: &Ops) -> Result<Swept, OpsError> {
    let mut swept = Swept::default();
    for file in cache::old(&ops.store, ops.now().0 - KEEP_CACHE_S * 1_000_000).await? {
        // The row goes first: a file without a row is an orphan, a row without a file would be a promise broken.
        let mut batch = Batch::new();
        cache::delete(&mut batch, &file.name);
        ops.store.apply(batch).await?;
        if let Some(path) = ops.blobs.cache_path(&file.name) {
            remove(&path);
            swept.cached += 1;
        }
    }
    let folder = ops.blobs.incoming();
    let cache_dir = folder.parent().map(Path::to_path_buf).unwrap_or_default();
    let logs = ops.options.data_dir.join("logs");
    let listed = tokio::task::spawn_blocking(move || {
        let temporary = old_files(&folder, KEEP_ORPHANS_S, 0);
        (temporary, old_files(&cache_dir, KEEP_ORPHANS_S, 0), old_files(&logs, KEEP_LOGS_S, 2))
    });
    let (temporary, cached, logs) = listed.await.map_err(|e| OpsError::Internal(format!("sweeping stopped: {e}")))?;
    let mut orphans = temporary;
    for path in cached {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if cache::get(&ops.store, &name).await?.is_none() {
            orphans.push(path);
        }
    }
    (swept.orphans, swept.logs) = (orphans.len(), logs.len());
    let removal = tokio::task::spawn_blocking(move || {
        orphans.iter().chain(&logs).for_each(|p| remove(p));
        // Directories of logs that are empty now; one that is not stays.
        logs.iter().filter_map(|p| p.parent()).for_each(|d| drop(std::fs::remove_dir(d)));
    });
    removal.await.map_err(|e| OpsError::Internal(format!("sweeping stopped: {e}")))?;
    Ok(swept)
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "not removed");
    }
}

/// Regular files not written for `seconds`, in `dir` and so many levels below.
fn old_files(dir: &Path, seconds: u64, levels: usize) -> Vec<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "compared with times of the same machine's file system, not with the system's own clock")]
    let Some(before) = SystemTime::now().checked_sub(Duration::from_secs(seconds)) else { return Vec::new() };
    let mut old = Vec::new();
    let mut dirs = vec![(dir.to_path_buf(), 0)];
    let mut looked_at = 0;
    while let Some((dir, level)) = dirs.pop() {
        for item in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_LOOKED_AT {
                return old;
            }
            let Ok(meta) = item.metadata() else { continue };
            if meta.is_dir() && level < levels {
                dirs.push((item.path(), level + 1));
            } else if meta.is_file() && meta.modified().is_ok_and(|at| at < before) {
                old.push(item.path());
            }
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice};
    use std::fs::FileTimes;

    fn put(path: &Path, days: u64) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(path).unwrap();
        file.set_times(FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(days * 86_400))).unwrap();
    }

    #[tokio::test]
    async fn only_what_is_old_and_unused_goes() {
        let w = World::new().await;
        let person = w.ops.person(&alice()).await.unwrap().id;
        let path = |name: &str| w.ops.blobs.cache_path(name).unwrap();
        let mut batch = Batch::new();
        for (name, days) in [("used.tgz", 1), ("unused.tgz", 70)] {
            let touched_us = w.ops.now().0 - days * 86_400 * 1_000_000;
            cache::add(&mut batch, &cache::CacheFile { name: name.into(), person_id: person, fsize: 0, checksum: "1".into(), touched_us });
            put(&path(name), 70);
        }
        w.ops.store.apply(batch).await.unwrap();
        put(&path("orphan.tgz"), 3);
        put(&path("young.tgz"), 0);
        put(&w.ops.blobs.incoming().join("cut"), 3);
        let log = w.ops.blobs.log_dir(1_000_000_001);
        put(&log.join("0.stdout"), 20);
        assert_eq!(sweep(&w.ops).await.unwrap(), Swept { cached: 1, orphans: 2, logs: 1 });
        assert_eq!(["used.tgz", "unused.tgz", "orphan.tgz", "young.tgz"].map(|n| path(n).exists()), [true, false, false, true]);
        assert!(!log.exists());
        assert_eq!(sweep(&w.ops).await.unwrap(), Swept::default());
    }
}

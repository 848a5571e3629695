//! Files the server keeps itself: sandboxes under `cache/` and live payload logs under `logs/`, in the data directory.

use std::path::{Path, PathBuf};

/// Longest name of a file under `/cache`.
pub const MAX_NAME: usize = 200;

/// Where the server's own files lie.
#[derive(Debug, Clone)]
pub struct Blobs {
    cache: PathBuf,
    logs: PathBuf,
}

impl Blobs {
    /// Below this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { cache: data_dir.join("cache"), logs: data_dir.join("logs") }
    }
    /// Makes the directories.
    pub fn create(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(self.cache.join("tmp"))?;
        std::fs::create_dir_all(&self.logs)
    }
    /// The directory for files being received; same file system as their final place.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.cache.join("tmp")
    }
    /// The place of a file under `/cache`; None for a name that is no plain file name.
    #[must_use]
    pub fn cache_path(&self, name: &str) -> Option<PathBuf> {
        is_safe_name(name).then(|| self.cache.join(name))
    }
    /// The directory of all live logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.logs.clone()
    }
    /// The directory of a job's live log.
    #[must_use]
    pub fn log_dir(&self, job: i64) -> PathBuf {
        // Two levels, so that no directory grows without bound.
        self.logs.join((job / 1_000).to_string()).join(job.to_string())
    }
}

/// Whether a name is one plain path component of harmless characters.
#[must_use]
pub fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name != "tmp"
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b':'))
}

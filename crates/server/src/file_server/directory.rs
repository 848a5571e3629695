//! A [`BlobStore`] that is a folder and remembers checksums only as long as the
//! process lives: after a restart clients upload once more. For one server and for tests.

use super::{BlobError, BlobStore, OVERWRITE};
use crate::ctx::BoxFuture;
use crate::upload::{Upload, safe_name};
use panda_access::Principal;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most remembered uploads; the oldest is forgotten first and merely uploaded again.
const REMEMBERED: usize = 10_000;

type Key = (String, String, i64, String);

/// A folder of files by name.
#[derive(Debug)]
pub struct Directory {
    folder: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<Key, String>,
    order: VecDeque<Key>,
}

impl Directory {
    /// Keeps files in `folder`, which must be there.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Directory { folder, known: Mutex::default() }
    }

    fn remember(&self, key: Key, name: String) {
        let mut known = self.known.lock();
        if known.names.insert(key.clone(), name).is_none() {
            known.order.push_back(key);
        }
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.names.remove(&oldest);
        }
    }
}

fn key(owner: &Principal, size: i64, checksum: &str) -> Key {
    let (issuer, subject) = owner.owner();
    (issuer.to_owned(), subject.to_owned(), size, checksum.to_owned())
}

fn keep(upload: Upload, target: &Path) -> io::Result<()> {
    let kept = if target.file_name().is_some_and(|n| n.to_string_lossy().ends_with(OVERWRITE)) {
        upload.path.persist(target)
    } else {
        upload.path.persist_noclobber(target)
    };
    kept.map_err(|e| e.error)?;
    // The rename lasts only when the folder is written, too.
    target.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(io::Error::other(error)),
        }
    })
}

fn broken(error: &io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => BlobError::Exists,
        io::ErrorKind::NotFound => BlobError::Missing,
        _ => {
            tracing::error!(%error, "the folder of uploaded files refused");
            BlobError::Broken
        }
    }
}

impl BlobStore for Directory {
    fn put<'a>(&'a self, owner: &'a Principal, upload: Upload) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move {
            let size = i64::try_from(upload.size).unwrap_or(i64::MAX);
            let (key, name) = (key(owner, size, &upload.sandbox_checksum().to_string()), upload.name.clone());
            let target = self.folder.join(&name);
            blocking(move || keep(upload, &target)).await.map_err(|e| broken(&e))?;
            self.remember(key, name);
            Ok(())
        })
    }

    fn find<'a>(&'a self, owner: &'a Principal, size: i64, checksum: &'a str) -> BoxFuture<'a, Result<Option<String>, BlobError>> {
        let name = self.known.lock().names.get(&key(owner, size, checksum)).cloned();
        Box::pin(async move {
            match name {
                Some(name) => Ok(self.path(&name).await.map(|_| name)),
                None => Ok(None),
            }
        })
    }

    fn touch<'a>(&'a self, _: &'a Principal, name: &'a str) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move {
            let target = self.folder.join(safe_name(name).ok_or(BlobError::Missing)?);
            let work = move || std::fs::File::options().append(true).open(target)?.set_modified(SystemTime::now());
            blocking(work).await.map_err(|e| broken(&e))
        })
    }

    fn path<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<PathBuf>> {
        Box::pin(async move {
            let target = self.folder.join(safe_name(name)?);
            let found = tokio::fs::symlink_metadata(&target).await.ok()?;
            found.is_file().then_some(target)
        })
    }
}

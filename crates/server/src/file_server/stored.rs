//! The usual [`BlobStore`]: files in the data folder, a row each.
//!
//! Owns the order: temporary file, flushed; rename; folder flushed; row. A crash
//! in between leaves a file without a row, which is swept, never a row without a
//! file. Must not know HTTP.

use super::{BlobError, BlobStore, OVERWRITE, REUSE_SECONDS, log_cap};
use crate::ctx::BoxFuture;
use crate::upload::Upload;
use panda_access::Principal;
use panda_ops::{Ops, OpsError};
use panda_store::Batch;
use panda_store::query::cache::{self, CacheFile};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files below the operations' data folder.
#[must_use]
pub fn store(ops: &Arc<Ops>) -> Arc<dyn BlobStore> {
    Arc::new(Stored { ops: ops.clone(), appending: tokio::sync::Mutex::default() })
}

struct Stored {
    ops: Arc<Ops>,
    appending: tokio::sync::Mutex<()>,
}

impl Stored {
    async fn put(&self, owner: &Principal, upload: Upload, anyway: bool) -> Result<(), BlobError> {
        let person = self.ops.person(owner).await.map_err(|e| lost(&e))?.id;
        let target = self.ops.blobs.cache_path(&upload.name).ok_or(BlobError::Missing)?;
        let row = CacheFile {
            name: upload.name.clone(),
            person_id: person,
            vo: owner.vo.clone(),
            fsize: i64::try_from(upload.size).unwrap_or(i64::MAX),
            checksum: checksum_text(&upload),
            touched_us: self.ops.now().0,
        };
        let before = cache::get(&self.ops.store, &row.name).await.map_err(|e| lost(&e.into()))?;
        let replaces = anyway || row.name.ends_with(OVERWRITE);
        match &before {
            // Only its owner may put something else under a name.
            Some(before) if !anyway && (!replaces || before.person_id != person) => return Err(BlobError::Exists),
            _ => {}
        }
        blocking(move || keep(upload, &target, replaces)).await.map_err(|e| broken(&e))?;
        let mut batch = Batch::new();
        if before.is_some() {
            cache::replace(&mut batch, &row);
        } else {
            cache::add(&mut batch, &row);
        }
        match self.ops.store.apply(batch).await {
            // Somebody was quicker with the same name; there is a row, which is all that is needed.
            Err(error) if !error.is_conflict() => Err(lost(&error.into())),
            _ => Ok(()),
        }
    }

    async fn append(&self, owner: &Principal, name: &str, bytes: Vec<u8>) -> Result<(), BlobError> {
        let person = self.ops.person(owner).await.map_err(|e| lost(&e))?.id;
        let target = self.ops.blobs.cache_path(name).ok_or(BlobError::Missing)?;
        // Increments come in order, one call at a time; two callers must not write into each other.
        let _one = self.appending.lock().await;
        let before = cache::get(&self.ops.store, name).await.map_err(|e| lost(&e.into()))?;
        if before.as_ref().is_some_and(|b| b.person_id != person) {
            return Err(BlobError::NotYours(name.to_owned()));
        }
        let known = before.as_ref().map_or(0, |b| u64::try_from(b.fsize).unwrap_or(0));
        let size = known + bytes.len() as u64;
        if size > log_cap(name) {
            return Err(BlobError::TooLarge(name.to_owned(), log_cap(name) >> 20));
        }
        // What is behind the size of the row was cut off before it was known: it comes again.
        blocking(move || extend(&target, known, &bytes)).await.map_err(|e| broken(&e))?;
        let row = CacheFile {
            name: name.to_owned(),
            person_id: person,
            vo: owner.vo.clone(),
            fsize: i64::try_from(size).unwrap_or(i64::MAX),
            checksum: "log".to_owned(),
            touched_us: self.ops.now().0,
        };
        let mut batch = Batch::new();
        if before.is_some() {
            cache::replace(&mut batch, &row);
        } else {
            cache::add(&mut batch, &row);
        }
        self.ops.store.apply(batch).await.map_err(|e| lost(&e.into()))
    }

    async fn find(&self, owner: &Principal, size: i64, checksum: &str) -> Result<Option<String>, BlobError> {
        let person = self.ops.person(owner).await.map_err(|e| lost(&e))?.id;
        let since = self.ops.now().0 - REUSE_SECONDS * 1_000_000;
        // A number may be either kind of checksum.
        let adler = checksum.parse::<u32>().ok().map(|sum| format!("ad:{sum:08x}"));
        for text in std::iter::once(checksum.to_owned()).chain(adler) {
            let found = cache::same(&self.ops.store, person, size, &text, since).await.map_err(|e| lost(&e.into()))?;
            if let Some(file) = found
                && self.path(&file.name).await.is_some()
            {
                return Ok(Some(file.name));
            }
        }
        Ok(None)
    }

    async fn touch(&self, name: &str) -> Result<(), BlobError> {
        let found = cache::get(&self.ops.store, name).await.map_err(|e| lost(&e.into()))?;
        if found.is_none() || self.path(name).await.is_none() {
            return Err(BlobError::Missing);
        }
        let mut batch = Batch::new();
        cache::touch(&mut batch, name, self.ops.now().0);
        self.ops.store.apply(batch).await.map_err(|e| lost(&e.into()))
    }

    /// First the row, then the file: what a crash in between leaves is swept.
    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        let path = self.path(name).await.ok_or(BlobError::Missing)?;
        let mut batch = Batch::new();
        cache::delete(&mut batch, name);
        self.ops.store.apply(batch).await.map_err(|e| lost(&e.into()))?;
        tokio::fs::remove_file(&path).await.map_err(|e| broken(&e))
    }

    async fn path(&self, name: &str) -> Option<PathBuf> {
        let path = self.ops.blobs.cache_path(name)?;
        let found = tokio::fs::symlink_metadata(&path).await.ok()?;
        found.is_file().then_some(path)
    }
}

impl BlobStore for Stored {
    fn put<'a>(&'a self, owner: &'a Principal, upload: Upload) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(self.put(owner, upload, false))
    }

    fn replace<'a>(&'a self, owner: &'a Principal, upload: Upload) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(self.put(owner, upload, true))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(self.remove(name))
    }

    fn append<'a>(&'a self, owner: &'a Principal, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(self.append(owner, name, bytes))
    }

    fn find<'a>(&'a self, owner: &'a Principal, size: i64, checksum: &'a str) -> BoxFuture<'a, Result<Option<String>, BlobError>> {
        Box::pin(self.find(owner, size, checksum))
    }

    fn touch<'a>(&'a self, _: &'a Principal, name: &'a str) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(self.touch(name))
    }

    fn path<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<PathBuf>> {
        Box::pin(self.path(name))
    }
}

/// The column's text: the decimal CRC of a gzip file's content, else `ad:` and hex digits.
fn checksum_text(upload: &Upload) -> String {
    if upload.is_gzip() { upload.sandbox_checksum().to_string() } else { format!("ad:{:08x}", upload.adler32) }
}

fn keep(upload: Upload, target: &Path, replaces: bool) -> io::Result<()> {
    let kept = if replaces { upload.path.persist(target) } else { upload.path.persist_noclobber(target) };
    kept.map_err(|e| e.error)?;
    // The rename lasts only when the folder is written, too.
    target.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

fn extend(target: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::File::options().create(true).truncate(false).write(true).open(target)?;
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)?;
    file.sync_all()
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn broken(error: &io::Error) -> BlobError {
    match error.kind() {
        // A file without a row: the upload before this one was cut between the two.
        io::ErrorKind::AlreadyExists => BlobError::Exists,
        _ => {
            tracing::error!(%error, "the folder of uploaded files refused");
            BlobError::Broken
        }
    }
}

fn lost(error: &OpsError) -> BlobError {
    tracing::error!(%error, "the rows of uploaded files cannot be reached");
    BlobError::Broken
}

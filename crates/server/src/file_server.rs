//! Methods of `file_server`, and the door to where files are kept.
//!
//! Owns the caps by file name and the trait [`BlobStore`]; [`store`] is the usual
//! one, the data folder with a row a file. Must not know who may call.

pub mod delete_cache_file;
pub mod delete_hpo_checkpoint;
pub mod download_jedi_log;
mod increment;
pub mod register_cache_file;
mod stored;
pub mod touch_cache_file;
pub mod update_jedi_log;
pub mod upload_cache_file;
pub mod upload_event_picking_request;
pub mod upload_file_recovery_request;
pub mod upload_hpo_checkpoint;
pub mod upload_jedi_log;
pub mod upload_workflow_request;
pub mod validate_cache_file;

pub use stored::store;

use crate::ctx::BoxFuture;
use crate::upload::Upload;
use panda_access::Principal;
use std::path::PathBuf;

const MB: u64 = 1 << 20;
/// Files that may take the place of an older one of the same name end so.
pub const OVERWRITE: &str = "__ow__";
/// For how long an uploaded sandbox is found again, seconds: the original looks back three days.
pub const REUSE_SECONDS: i64 = 3 * 24 * 3600;

/// Most bytes of a cache file of this name: outputs 100 MB, sources 768 MB, everything else 10 MB.
#[must_use]
pub fn cache_cap(name: &str) -> u64 {
    if name.ends_with(".out") {
        100 * MB
    } else if name.starts_with("sources.") {
        768 * MB
    } else {
        10 * MB
    }
}

/// Most bytes of a log file.
#[must_use]
pub fn log_cap(_: &str) -> u64 {
    100 * MB
}

/// Most bytes of a checkpoint.
#[must_use]
pub fn checkpoint_cap(_: &str) -> u64 {
    500 * MB
}

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Another file of this name is there, and the name does not allow to replace it.
    #[error("ERROR: cannot overwrite file")]
    Exists,
    /// There is no such file.
    #[error("the file is not here; upload it first")]
    Missing,
    /// It would become too large.
    #[error("the file {0} would have more than {1} MB, which is the limit of a log")]
    TooLarge(String, u64),
    /// It belongs to somebody else.
    #[error("the file {0} belongs to somebody else; choose another name")]
    NotYours(String),
    /// The disk or the database refused; the cause is in the log.
    #[error("the server cannot store the file now; try again")]
    Broken,
}

/// Where uploaded files are kept.
pub trait BlobStore: Send + Sync {
    /// Takes an upload over: it is on disk and known when this returns.
    fn put<'a>(&'a self, owner: &'a Principal, upload: Upload) -> BoxFuture<'a, Result<(), BlobError>>;

    /// Adds bytes to the end of a log, which is made when it is new; they are on disk and known when this returns.
    fn append<'a>(&'a self, owner: &'a Principal, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), BlobError>>;

    /// The same in place of an older file of that name, whoever's it was: the caller has looked who may.
    fn replace<'a>(&'a self, owner: &'a Principal, upload: Upload) -> BoxFuture<'a, Result<(), BlobError>>;

    /// Takes a file away.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), BlobError>>;

    /// Name of a file of this owner, size and checksum that is younger than [`REUSE_SECONDS`].
    fn find<'a>(&'a self, owner: &'a Principal, size: i64, checksum: &'a str) -> BoxFuture<'a, Result<Option<String>, BlobError>>;

    /// Makes a file young again.
    fn touch<'a>(&'a self, owner: &'a Principal, name: &'a str) -> BoxFuture<'a, Result<(), BlobError>>;

    /// Where the bytes of a file lie. The name is a safe single component.
    fn path<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<PathBuf>>;
}

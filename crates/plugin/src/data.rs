//! Data management: what the system asks of whoever keeps an experiment's data (`spec/engine.md` section 12.4).

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Why a plug-in did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It knows that there is no such thing: trying again changes nothing until somebody makes it.
    #[error("{0}")]
    Unknown(String),
    /// It could not say or do it now: one sentence. The same call is made again later.
    #[error("{reason}")]
    Later {
        /// What went wrong, for people.
        reason: String,
    },
}

impl Error {
    /// It could not be done now.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into() }
    }
}

/// A data set as its keeper describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its full name, `scope:name` where the experiment has scopes.
    pub name: String,
    /// Whether files may still come.
    #[serde(default)]
    pub open: bool,
}

/// Where a file is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Storage endpoint by name.
    pub rse: String,
    /// Full address or path there.
    pub pfn: String,
}

/// A file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Logical name, unique in its data set.
    pub lfn: String,
    /// Scope of the name.
    #[serde(default)]
    pub scope: String,
    /// Bytes.
    pub size_bytes: u64,
    /// `ad:` and eight hexadecimal digits, or `md:` and thirty-two.
    #[serde(default)]
    pub checksum: Option<String>,
    /// Its global identifier.
    #[serde(default)]
    pub guid: Option<String>,
    /// Events in it.
    #[serde(default)]
    pub n_events: Option<u64>,
    /// Where it is kept; none = nowhere now.
    #[serde(default)]
    pub replicas: Vec<Replica>,
}

/// Files of a data set in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePage {
    /// The files.
    pub files: Vec<File>,
    /// Whether there are more behind the last one.
    #[serde(default)]
    pub more: bool,
}

/// Keeps an experiment's data. Every method may be called again with the same arguments at any time and must then do nothing new.
pub trait DataManagement: Send + Sync {
    /// A data set by name. [`Error::Unknown`] when there is none.
    fn resolve<'a>(&'a self, vo: &'a str, name: &'a str) -> BoxFuture<'a, Result<Dataset, Error>>;
    /// At most `limit` files of a data set whose names come after `after` (empty = from the first).
    fn files<'a>(&'a self, vo: &'a str, name: &'a str, after: &'a str, limit: usize) -> BoxFuture<'a, Result<FilePage, Error>>;
    /// Registers output files; the same `key` again changes nothing.
    fn register<'a>(&'a self, vo: &'a str, name: &'a str, key: &'a str, files: &'a [File]) -> BoxFuture<'a, Result<(), Error>>;
    /// Deletes a data set; one that is not there is deleted.
    fn delete<'a>(&'a self, vo: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Error>>;
    /// Asks for a data set at a storage endpoint; whether all of it is there.
    fn stage<'a>(&'a self, vo: &'a str, name: &'a str, rse: &'a str) -> BoxFuture<'a, Result<bool, Error>>;
}

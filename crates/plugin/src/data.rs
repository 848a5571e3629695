//! Data management: what the system asks of whoever keeps an experiment's data (`spec/engine.md` section 12.4).

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// What is wrong with it when it does not work now: one sentence that names it.
    fn trouble(&self) -> Option<String> {
        None
    }
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

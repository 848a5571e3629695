//! Each operation of the system once: check the role, read, decide in `core`, apply one batch, wake.
//!
//! Server, monitor, engine commands and the command line's local verbs call these functions; they only translate. This room must not know
//! HTTP or HTML. One operation a file: `<noun>/<verb>.rs`.

pub mod blob;
pub mod broker;
pub mod clock;
pub mod creds;
pub mod dataset;
pub mod effect;
pub mod endpoint;
mod error;
pub mod event;
pub mod file;
pub mod grant;
pub mod harvester;
pub mod held;
pub mod hold;
pub mod job;
pub mod journal;
pub mod json;
pub mod limit;
pub mod live;
pub mod people;
pub mod pilot;
pub mod plugin;
pub mod queue;
pub mod requests;
pub mod resource;
pub mod retention;
pub mod rule;
pub mod setting;
pub mod share;
pub mod statistics;
pub mod storage;
pub mod task;
#[cfg(test)]
mod testing;
pub mod token;
pub mod trust;
pub mod vo;
pub mod why;

use std::{path::PathBuf, sync::Arc};

use panda_core::time::{Clock, Micros};
use panda_store::Store;

pub use error::OpsError;

/// How often an operation that met a changed row reads and decides again before it gives up (each round means that somebody else got ahead).
pub const MAX_CONFLICTS: usize = 8;

/// What the operations need to know of the installation.
#[derive(Debug, Clone)]
pub struct Options {
    /// Configured VOs, lower case. A task of another VO becomes one of its owner's VO, and the answer says so.
    pub vos: Vec<String>,
    /// Address under which clients, pilots and runners reach this server, without a trailing slash: `http://127.0.0.1:25080`.
    pub base_url: String,
    /// Address of the monitor, without a trailing slash.
    pub monitor_url: String,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Most active tasks a person may have.
    pub max_active_tasks: i64,
    /// How often a job's input is tried, when the task does not say.
    pub max_attempt: i64,
    /// Whether everybody may register files of the server's machine by their paths; else production only. On when the server serves its own
    /// machine only.
    pub local_paths: bool,
}

impl Options {
    /// Options of a server at `base_url` with its data in `data_dir`.
    #[must_use]
    pub fn new(base_url: &str, data_dir: PathBuf) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let host = base_url.split("://").nth(1).unwrap_or_default();
        let local_paths = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|h| host.strip_prefix(h).is_some_and(|r| r.is_empty() || r.starts_with([':', '/'])));
        let monitor_url = base_url.clone();
        Self { vos: Vec::new(), monitor_url, base_url, data_dir, max_active_tasks: 10_000, max_attempt: 3, local_paths }
    }
}

/// Everything an operation works with. One a process; cheap to share behind an [`Arc`].
pub struct Ops {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The installation.
    pub options: Options,
    /// Sandboxes and live logs.
    pub blobs: blob::Blobs,
    /// People by identity.
    pub people: people::People,
    /// Queues, storage endpoints and lanes.
    pub queues: queue::Queues,
    /// Settings that differ from their defaults.
    pub settings: setting::Settings,
    /// Retry rules.
    pub rules: rule::Cache,
    /// Shares, and what each is due.
    pub shares: share::Shares,
    /// Resource types.
    pub resource_types: resource::Table,
    /// VOs that were added at run time.
    pub vo_cache: vo::Cache,
    /// How outputs on storages are looked at.
    pub disk: Arc<dyn storage::Look>,
    /// What experiments bring in place of the neutral built-ins, by name; settings `plugin.…` choose.
    pub plugins: panda_plugin::Registry,
    /// Writes API tokens; None where none are made.
    pub sign: Option<token::Sign>,
    /// This process among those that work on the database.
    pub process: String,
    /// What else this process remembers.
    pub live: live::Live,
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ops").field("store", &self.store).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Ops {
    /// Operations over an open store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, options: Options) -> Self {
        let blobs = blob::Blobs::new(&options.data_dir);
        Self {
            store,
            clock,
            options,
            blobs,
            people: people::People::default(),
            queues: queue::Queues::default(),
            settings: setting::Settings::default(),
            rules: rule::Cache::default(),
            shares: share::Shares::default(),
            resource_types: resource::Table::default(),
            vo_cache: vo::Cache::default(),
            disk: Arc::new(storage::Disk),
            plugins: panda_plugin::Registry::default(),
            sign: None,
            process: uuid::Uuid::new_v4().simple().to_string(),
            live: live::Live::default(),
        }
    }
    /// The present time.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.clock.now()
    }
}

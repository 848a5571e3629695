//! Options of `panda storage`.

use std::path::PathBuf;

use clap::Subcommand;

/// `panda storage ...`
#[derive(Debug, Subcommand)]
pub enum StorageVerb {
    /// Add a storage endpoint, a directory that workers and the server reach by the same path
    Add {
        /// Its name
        name: String,
        /// Its directory; made when it is not there
        root: PathBuf,
        /// Values, as for `set`
        #[arg(value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// List the storage endpoints and the ways between them
    List,
    /// Show one storage endpoint with the queues that use it
    Show {
        /// Its name
        name: String,
    },
    /// Change what is known of a storage endpoint
    ///
    /// Values: `state` (active, offline), `read`, `write`, `is_tape`, `nucleus` (true, false; tasks may keep their outputs there), `space_free_gb`. An
    /// empty value forgets.
    Set {
        /// Its name
        name: String,
        /// KEY=VALUE, any number of them
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Tell what it costs to bring files from one storage endpoint to another; the broker prefers what is cheap
    Link {
        /// From this one
        from: String,
        /// To this one
        to: String,
        /// Cost, 0 or more; more is worse
        #[arg(default_value_t = 1)]
        cost: i64,
        /// Megabits a second, if measured
        #[arg(long, value_name = "N")]
        mbps: Option<i64>,
        /// Files that wait on it
        #[arg(long, value_name = "N", default_value_t = 0)]
        queued: i64,
    },
    /// Forget what it costs to bring files from one storage endpoint to another
    Unlink {
        /// From this one
        from: String,
        /// To this one
        to: String,
    },
    /// Take out a storage endpoint that nothing uses; its directory stays
    Remove {
        /// Its name
        name: String,
    },
}

//! Options of `panda storage`.

use clap::Subcommand;

/// `panda storage ...`
#[derive(Debug, Subcommand)]
pub enum StorageVerb {
    /// List storage endpoints and the ways between them
    List,
    /// Change what is known of an endpoint, or make one
    ///
    /// Values: `state` (active, offline), `read`, `write`, `space_free_gb`, `is_tape`, `nucleus` (tasks may keep their outputs there); an empty value
    /// forgets. `root=/absolute/directory` makes a new one.
    Set {
        /// Its name
        name: String,
        /// KEY=VALUE, any number of them
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Tell of a way between two endpoints
    Link {
        /// From this one
        from: String,
        /// To this one
        to: String,
        /// What it costs; more is worse
        #[arg(long, default_value_t = 1)]
        cost: i64,
        /// Megabits a second, if measured
        #[arg(long, value_name = "N")]
        mbps: Option<i64>,
        /// Files that wait on it
        #[arg(long, value_name = "N", default_value_t = 0)]
        queued: i64,
    },
    /// Take a way out
    Unlink {
        /// From this one
        from: String,
        /// To this one
        to: String,
    },
}

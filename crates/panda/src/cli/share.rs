//! Options of `panda share`.

use clap::Subcommand;

/// `panda share ...`
#[derive(Debug, Subcommand)]
pub enum ShareVerb {
    /// List the configured shares as a tree
    List,
    /// Show targets of shares, what they use and what waits
    Show {
        /// Only this share and its parts
        name: Option<String>,
    },
    /// Add or change a share
    ///
    /// Values: `value` (percent among its siblings), `parent`, `position`, `throttled`, and rules by `vo`, `label`, `working_group`, `campaign`,
    /// `processing_type`, `transformation`, `resource_type`, `user`: regular expressions that must fit the whole. An empty value takes a rule away.
    Set {
        /// Its name
        name: String,
        /// KEY=VALUE, any number of them
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Take a share away; what is in it goes on as `Undefined`
    Remove {
        /// Its name
        name: String,
    },
}

//! Options of `panda setting`.

use clap::{Args, Subcommand};

/// `panda setting ...`
#[derive(Debug, Subcommand)]
pub enum SettingVerb {
    /// List settings with their values
    List {
        /// Only names that contain this
        filter: Option<String>,
    },
    /// Change a setting
    Set {
        /// Its name
        name: String,
        /// The value
        value: String,
        /// For whom
        #[command(flatten)]
        scope: SettingScope,
    },
    /// Go back to the shipped value
    Unset {
        /// Its name
        name: String,
        /// For whom
        #[command(flatten)]
        scope: SettingScope,
    },
}

/// For whom a setting holds.
#[derive(Debug, Args)]
pub struct SettingScope {
    /// Only for this VO
    #[arg(long)]
    pub vo: Option<String>,
    /// Only for tasks and jobs of this label
    #[arg(long)]
    pub label: Option<String>,
}

//! Options of `panda queue`, `panda drain`, `panda undrain` and `panda retention`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WaitArgs;

/// `panda queue ...`
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Add a queue
    Add(QueueAddArgs),
    /// List the queues
    List,
    /// Show one queue with its settings
    Show {
        /// Its name
        name: String,
    },
    /// Change settings, e.g. state=offline corecount=8
    Set {
        /// Its name
        name: String,
        /// KEY=VALUE; values are JSON where they parse as such
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Hold a queue: it gets no jobs until it is released
    Hold {
        /// Its name
        name: String,
        /// Why; whoever waits reads it
        reason: String,
    },
    /// Release a queue that an operator or the brake holds
    Release {
        /// Its name
        name: String,
    },
    /// Show what holds the dispatch now
    Holds,
    /// Run a small job on a queue and check its output
    Test {
        /// Its name
        name: String,
        /// How long to wait
        #[command(flatten)]
        limits: WaitArgs,
    },
}

/// `panda drain`
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Why; whoever waits reads it
    pub reason: String,
    /// Only this queue
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
}

/// `panda undrain`
#[derive(Debug, Args)]
pub struct UndrainArgs {
    /// Only this queue
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
}

/// `panda retention`
#[derive(Debug, Args)]
pub struct RetentionArgs {
    /// What would be removed now
    #[arg(long)]
    pub due: bool,
}

/// `panda queue add`
#[derive(Debug, Args)]
pub struct QueueAddArgs {
    /// Its name
    pub name: String,
    /// Folder of its storage endpoint [default: the one below the data folder]
    #[arg(long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// Which pilots serve it
    #[arg(long, default_value = "native", value_parser = ["native", "official-generic", "atlas"])]
    pub pilot: String,
    /// A file with its settings, a JSON object in the form of schedconfig
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Single settings, over those of the file
    #[arg(value_name = "KEY=VALUE")]
    pub values: Vec<String>,
}

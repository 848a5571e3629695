//! Options of `panda sim`.

use std::path::PathBuf;

use clap::Args;

/// `panda sim`
#[derive(Debug, Args)]
pub struct SimArgs {
    /// A scenario: a TOML file, or `small` or `day`, which come with the program
    #[arg(default_value = "small")]
    pub scenario: String,
    /// Where all chance comes from, instead of the scenario's seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many seeds to run, from the seed on; they are told in their order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// How many seeds to run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub threads: u64,
    /// Simulated hours, instead of the scenario's
    #[arg(long)]
    pub hours: Option<f64>,
    /// Recorded tasks, JSON Lines with `at_s` and the keys of `[[work]]`, besides the scenario's work
    #[arg(long, value_name = "FILE")]
    pub tasks: Option<PathBuf>,
    /// Print the scenario instead of running it, to be changed and run from a file
    #[arg(long)]
    pub show: bool,
}

//! Load generator and figures. It speaks plain HTTP over kept connections and nothing else of ours, so that what it measures is what a peer
//! would see. Never part of a test: figures go into `docs/performance.md` with the command that made them.

mod cpu;
mod dispatch;
mod http;
mod jobs;
mod latency;
mod server;
mod stats;

use clap::{Parser, Subcommand};

/// Measures a `panda` program of this build.
#[derive(Debug, Parser)]
#[command(name = "panda-bench")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Rates of `acquire_jobs`, `update_job`, `job/submit`, `task/submit` and `task/get_details`.
    Dispatch(dispatch::Args),
    /// Time from submission to the payload's first line and to the verified outputs.
    Latency(latency::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Dispatch(args) => dispatch::run(&args),
        What::Latency(args) => latency::run(&args),
    }
}

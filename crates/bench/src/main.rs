//! Load generator and figures. It speaks plain HTTP over kept connections and nothing else of ours, so that what it measures is what a peer
//! would see; only the catalogue of `feed` is filled beforehand. Never part of a test: figures go into `docs/performance.md` with the command that made them.

mod cpu;
mod dag;
mod database;
mod dispatch;
mod feed;
mod http;
mod jobs;
mod latency;
mod neighbour;
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
    /// From the submission of a DAG of jobs to its first activated jobs and to its last node.
    Dag(dag::Args),
    /// From inputs to activated jobs: one very large task, a backlog of small ones.
    Feed(feed::Args),
    /// Time from submission to the payload's first line and to the verified outputs.
    Latency(latency::Args),
    /// From submission to the first start beside another VO's very many jobs.
    Neighbour(neighbour::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Dispatch(args) => dispatch::run(&args),
        What::Dag(args) => dag::run(&args),
        What::Feed(args) => feed::run(&args),
        What::Latency(args) => latency::run(&args),
        What::Neighbour(args) => neighbour::run(&args),
    }
}

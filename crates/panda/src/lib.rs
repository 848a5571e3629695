//! Configuration, logging, wiring, the sub-commands, and [`Server::builder`]: what an experiment needs to build a program of its own.
//!
//! Reading order: [`cli`] is the list of verbs, `verb/<name>.rs` is one verb, `submit/` builds what `submit` and `run` send, `up/` ties the
//! rooms together, `demo/` is a run of the whole on data that travels with the program. Verbs that talk to a server do so over HTTP and know
//! nothing of the store; only `doctor`, `db` and `token` work on the data folder itself.

mod builder;
pub mod cli;
pub mod config;
mod context;
mod demo;
mod failure;
mod reference;
mod screen;
mod session;
mod submit;
mod up;
mod verb;

pub use builder::{Builder, MakeRoutes, Roles, Server};
pub use context::Context;
pub use failure::{Failure, exit};
pub use up::Running;

/// Runs the program: reads the command line, carries the verb out, and says how it went as an exit code.
#[must_use]
pub fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os().collect())
}

//! The program as its users meet it: command line, configuration, and a whole system on a free port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;
mod config;
mod program;
mod up;

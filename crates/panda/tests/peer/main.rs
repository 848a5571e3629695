//! The program as a whole, from outside: official clients and pilots against a running `panda up`, recorded exchanges, and kill -9.
//!
//! Names of tests say what they need (`cargo xtask help`): `peer_` the official client or pilot and the databases; the others nothing but the
//! program itself. `harness.rs` owns the running system, `http.rs` raw calls to it; each other file is one peer or one question.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod client;
mod harness;
mod harvester;
mod http;
mod idp;
mod kill;
mod pbook;
mod pilot;
mod replay;
mod scout;

//! The program as its users meet it: command line, configuration, and a whole system on a free port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod cert;
mod cli;
mod config;
#[path = "../peer/http.rs"]
#[allow(dead_code, clippy::disallowed_methods, reason = "shared with the peer suite, which uses more of it; answers of our own server")]
mod http;
mod payloads;
mod plugins;
mod program;
mod up;
mod vo;

//! The server from outside: every request goes through the router.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod captures;
mod commands;
mod conformance;
mod files;
mod holds;
mod matrix;
mod messages;
mod old_wire;
mod rest;
mod retry_rules;
mod sockets;
mod steering;
mod storage;
mod support;
mod tasks;
mod tls;
mod trust;

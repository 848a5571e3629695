//! The engine over an embedded database, its loops stepped by hand, with a pilot played by the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "it/tasks.rs"]
mod tasks;
#[path = "it/world.rs"]
mod world;

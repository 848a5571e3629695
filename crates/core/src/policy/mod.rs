//! Decisions over many rows, as pure functions.

pub mod broker;
pub mod chunk;
pub mod names;
pub mod text;

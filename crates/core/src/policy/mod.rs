//! Decisions over many rows, as pure functions.

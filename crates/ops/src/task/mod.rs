//! Tasks: commands, reading, reasons, outputs.

pub mod command;
pub mod filter;
pub mod info;
pub mod read;

//! Tasks: commands, reading, reasons, outputs.

pub mod command;

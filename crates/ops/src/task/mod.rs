//! Tasks: commands, reading, reasons, outputs.

mod active;
mod columns;
pub mod command;
pub mod dag;
pub mod filter;
pub mod info;
mod moved;
pub mod outputs;
pub mod params;
pub mod plan;
pub mod rank;
pub mod read;
pub mod recount;
pub mod sharing;
pub mod steer;
pub mod submit;

//! How a job's end is settled: reading the report, checking the outputs, accounting, and what waits for it.

pub mod catalogue;
pub mod kill;
pub mod release;
pub mod report;
pub mod usage;
pub mod verify;
pub mod view;

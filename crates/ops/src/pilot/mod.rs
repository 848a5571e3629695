//! What pilots ask and report.

pub mod acquire;
pub mod update;
pub mod wait;

//! What pilots ask and report.

pub mod acquire;
pub mod held;
pub mod seen;
pub mod update;
pub mod wait;
pub mod worker;

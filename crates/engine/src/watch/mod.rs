//! What time does to jobs and tasks: finds what may be overdue, asks `core`, carries out what it says.

pub mod jobs;
mod queues;
pub mod rebroker;
mod released;
pub mod tasks;

//! Jobs: submitting without a task, reading, killing, debugging, logs, and the dictionary that pilots get.

pub mod account;
pub mod command;
pub mod debug;
pub mod describe;
pub mod dictionary;
pub mod ending;
pub mod judge;
pub mod kill;
pub mod log;
pub mod offline;
pub mod place;
mod policy;
pub mod priority;
pub mod read;
pub mod reassign;
pub mod submit;

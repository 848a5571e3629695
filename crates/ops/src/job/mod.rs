//! Jobs: submitting without a task, reading, killing, debugging, logs, and the dictionary that pilots get.

pub mod account;
pub mod debug;
pub mod dictionary;
pub mod kill;

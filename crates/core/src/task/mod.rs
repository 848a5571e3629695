//! Tasks: their states, which may follow which, the commands, and how a task ends.
//!
//! It must not know how tasks are stored or how their parameters travel.

pub mod command;
pub mod finish;
pub mod notice;
pub mod state;
pub mod timers;
pub mod transition;

pub use state::TaskState;

//! The loops that move tasks and jobs on.
//!
//! Each loop is a reconciler: it reads what is there, decides in `core`, applies guarded batches, and can be run again at any moment. A loop
//! never sleeps and owns no timer; only [`driver`] does. This room must not know HTTP.

pub mod data;
pub mod driver;
mod error;
pub mod feed;
pub mod finish;
pub mod generate;
pub mod lease;
pub mod loops;
pub mod plan;
mod push;
mod retry;
mod scout;
mod watch;

pub use driver::{Engine, EngineOptions};
pub use error::EngineError;

/// What one step of a loop did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows moved on.
    pub done: usize,
    /// Whether there is more to do at once.
    pub more: bool,
}

impl Report {
    /// Adds another step's report.
    pub fn add(&mut self, other: Self) {
        self.done += other.done;
        self.more |= other.more;
    }
}

//! Jobs: the record, its states, which may follow which, what a pilot's report does, what a kill does, how long
//! a job may stay where it is.
//!
//! It must not know how jobs are stored or what travels on the wire.

pub mod kill;
pub mod record;
pub mod report;
pub mod state;
pub mod timers;
pub mod transition;

pub use record::{Job, JobErrors, JobKind};
pub use state::JobState;

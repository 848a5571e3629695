//! Jobs: their states, which may follow which, what a pilot's report does, what a kill does, how long a job may stay where it is.
//!
//! It must not know how jobs are stored or what travels on the wire.

pub mod error;
pub mod kill;
pub mod record;
pub mod report;
pub mod state;
pub mod timers;
pub mod transition;

pub use record::JobKind;
pub use state::JobState;

//! How a payload came to its end, as the failure that is reported.
//!
//! Owns the limits that end a payload and what is told of them. Must not know
//! how a payload is ended.

use super::codes::{JobFailure, KILLED_BY_SERVER, MEMORY, SIGTERM, WALL_TIME};
use super::job::Job;
use super::outcome::Outcome;
use super::queue::Grace;

/// How a payload ended.
pub(crate) enum End {
    Exited,
    Killed,
    Stopped,
    WallTime,
    /// It used so many kB.
    Memory(u64),
}

impl End {
    /// As the failure of a job that was given this much memory.
    pub(crate) fn failure(&self, job: &Job, grace: Grace, outcome: &mut Outcome) -> JobFailure {
        match self {
            Self::Stopped => stopping(outcome),
            Self::WallTime => {
                JobFailure::new(WALL_TIME, format!("Reached batch system time limit: the job may run {} s", job.max_wall_time_s))
            }
            Self::Memory(used_kb) => JobFailure::new(
                MEMORY,
                format!(
                    "Payload exceeded maximum allowed memory: it used {} MB; the job asked for {} MB and may use {} times as much",
                    used_kb * 1_024 / 1_000_000,
                    job.memory_mb,
                    grace.times()
                ),
            ),
            Self::Killed | Self::Exited => killed(),
        }
    }
}

pub(crate) fn killed() -> JobFailure {
    JobFailure::new(KILLED_BY_SERVER, "This job was killed by panda server")
}

pub(crate) fn stopping(outcome: &mut Outcome) -> JobFailure {
    outcome.sub_status = Some("lost_worker");
    JobFailure::new(SIGTERM, "Job killed by signal: SIGTERM: the worker was stopped")
}

//! Numbers of tasks, jobs, data sets, files, queues, lanes and workers: one type each, so that they cannot be mixed up.
//!
//! It must not know how numbers are handed out (that is a lease of ranges in the store).

use std::fmt;
use std::str::FromStr;

/// The first task number. The official client takes numbers below this one for request ids.
pub const TASK_ID_MIN: i64 = 10_000_000;

/// The first job number. A bare number tells by its size whether it is a task or a job.
pub const JOB_ID_MIN: i64 = 1_000_000_000;

/// A text that is not the number of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: give a whole number above 0")]
pub struct BadId {
    /// What was being read, for example `task id`.
    pub what: &'static str,
    /// The text that was given.
    pub text: String,
}

macro_rules! ids {
    ($( $(#[$meta:meta])* $name:ident = $what:literal; )+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// The bare number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = || BadId { what: $what, text: text.to_owned() };
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(bad());
                }
                match text.parse::<i64>() {
                    Ok(number) if number > 0 => Ok(Self(number)),
                    _ => Err(bad()),
                }
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self(number)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+ };
}

ids! {
    /// Number of a task (`jediTaskID`), from [`TASK_ID_MIN`] on.
    TaskId = "task id";
    /// Number of a job (`PandaID`), from [`JOB_ID_MIN`] on.
    JobId = "job id";
    /// Number of a data set of a task.
    DatasetId = "dataset id";
    /// Number of a file row of a task.
    FileId = "file id";
    /// Number of a queue (the API and people use its name).
    QueueId = "queue id";
    /// Number of a dispatch lane (queue, resource type, label class, share, RAM step).
    LaneId = "lane id";
    /// Number of a worker (a batch job that runs a pilot, or a slot of the local worker).
    WorkerId = "worker id";
}

/// What a bare number names, told by its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A task.
    Task(TaskId),
    /// A job.
    Job(JobId),
}

/// Tells tasks from jobs by the size of the number; `None` below [`TASK_ID_MIN`].
#[must_use]
pub const fn named(number: i64) -> Option<Named> {
    if number >= JOB_ID_MIN {
        Some(Named::Job(JobId(number)))
    } else if number >= TASK_ID_MIN {
        Some(Named::Task(TaskId(number)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_plain_positive_numbers() {
        assert_eq!("10000001".parse::<TaskId>(), Ok(TaskId(10_000_001)));
        for bad in ["", "0", "-1", "+1", " 1", "1 ", "0x1", "1.0", "99999999999999999999"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
        let text = "x".parse::<JobId>().unwrap_err().to_string();
        assert_eq!(text, "\"x\" is not a job id: give a whole number above 0");
    }

    #[test]
    fn a_number_says_what_it_is() {
        assert_eq!(named(TASK_ID_MIN - 1), None);
        assert_eq!(named(TASK_ID_MIN), Some(Named::Task(TaskId(TASK_ID_MIN))));
        assert_eq!(named(JOB_ID_MIN), Some(Named::Job(JobId(JOB_ID_MIN))));
    }
}

//! The filters of nuclei: their order, what they mean to people, and whether an endpoint passes.

use super::{Ask, Candidate, Limits, local};
use crate::words::word_enum;

word_enum! {
    /// A filter, in the order in which they are applied (`spec/engine.md` 8.4).
    Criterion, "nucleus criterion" {
        /// In use.
        Status = "status",
        /// What its tasks have still to do.
        Backlog = "backlog",
        /// May be written to.
        Write = "write",
        /// Free space.
        Space = "space",
        /// A queue for the task's jobs.
        Jobs = "jobs",
        /// Where the input is.
        Data = "data",
    }
}

impl Criterion {
    /// What it means that endpoints fall to it; follows a count ("2 with less than 100000 GB of free space").
    #[must_use]
    pub fn means(self, limits: &Limits) -> String {
        match self {
            Self::Status => "not active".into(),
            Self::Backlog => format!("whose tasks have more than {} input files to process", limits.max_backlog_files.unwrap_or(0)),
            Self::Write => "that cannot be written to".into(),
            Self::Space => format!("with less than {} GB of free space", limits.min_space_gb),
            Self::Jobs => "that no online queue for its jobs has a way to".into(),
            Self::Data => {
                format!("with less than {} % of the input's bytes or {} % of its files", limits.input_percent, limits.files_percent)
            }
        }
    }

    /// What would let them pass; names follow.
    #[must_use]
    pub const fn frees(self) -> &'static str {
        match self {
            Self::Status => "when they are active",
            Self::Backlog => "when tasks there have ended",
            Self::Write => "when they can be written to",
            Self::Space => "when they have more free space",
            Self::Jobs => "with a way from a queue that takes its jobs",
            Self::Data => "with the input copied there",
        }
    }

    /// Whether an endpoint passes.
    #[must_use]
    pub fn passes(self, candidate: &Candidate<'_>, ask: &Ask<'_>, limits: &Limits) -> bool {
        let e = candidate.endpoint;
        match self {
            Self::Status => e.active,
            Self::Backlog => limits.max_backlog_files.is_none_or(|most| candidate.backlog_files <= most),
            Self::Write => e.writable,
            Self::Space => e.free_gb.is_none_or(|gb| gb >= limits.min_space_gb),
            Self::Jobs => candidate.is_reached,
            Self::Data => ask.input.is_none_or(|input| {
                let (here, all) = (local(candidate, input), input.all);
                let has = |here: i64, all: i64, percent: i64| i128::from(here) * 100 >= i128::from(all) * i128::from(percent);
                (all.bytes < limits.input_bytes || has(here.bytes, all.bytes, limits.input_percent))
                    && (all.files < limits.input_files || has(here.files, all.files, limits.files_percent))
            }),
        }
    }
}

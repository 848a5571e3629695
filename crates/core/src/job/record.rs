//! What a job is for.

use crate::words::word_enum;

word_enum! {
    /// What a job is for.
    JobKind, "job kind" {
        /// Runs the payload over a part of a task.
        Run = "run",
        /// Builds the library of a task (`panda` label).
        Build = "build",
        /// Merges outputs of run jobs (processing type `pmerge`).
        Merge = "merge",
        /// Prepares a task before it is split (event picking, good-run lists).
        Prepare = "prepare",
        /// Belongs to no task: `job/submit`.
        Standalone = "standalone",
        /// Takes events of its files in ranges; others take what it leaves.
        Consumer = "consumer",
        /// Merges what consumers stored for the ranges of its files.
        EsMerge = "es_merge",
        /// One of several jobs with the same files, of which one counts.
        Clone = "clone",
        /// Takes ranges of the files of all consumers of its task.
        Jumbo = "jumbo",
        /// As [`Self::Run`], and says of its events how they went.
        Fine = "fine",
    }
}

impl JobKind {
    /// Whether it runs the payload over input files, of which it is in charge or shares the charge.
    #[must_use]
    pub const fn is_run(self) -> bool {
        matches!(self, Self::Run | Self::Consumer | Self::Clone | Self::Fine | Self::Jumbo)
    }
    /// Whether its output is merged from what others made.
    #[must_use]
    pub const fn is_merge(self) -> bool {
        matches!(self, Self::Merge | Self::EsMerge)
    }
    /// Whether it has event ranges, or shares its files with others: its end is more than its own.
    #[must_use]
    pub const fn has_events(self) -> bool {
        matches!(self, Self::Consumer | Self::EsMerge | Self::Clone | Self::Jumbo | Self::Fine)
    }
    /// Whether a kill ends it even while it runs: its ranges are safe with others (`spec/engine.md` section 3.5: the event service, not clones).
    #[must_use]
    pub const fn is_event_service(self) -> bool {
        matches!(self, Self::Consumer | Self::EsMerge | Self::Jumbo)
    }
    /// `eventService` of a job (`spec/engine.md` section 3.7); 0 for an ordinary one.
    #[must_use]
    pub const fn event_service(self) -> i64 {
        match self {
            Self::Consumer => 1,
            Self::EsMerge => 2,
            Self::Clone => 3,
            Self::Jumbo => 4,
            Self::Fine => 6,
            _ => 0,
        }
    }
}

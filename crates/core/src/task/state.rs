//! The states of a task (`spec/engine.md` section 4.1), in PanDA's words.

use crate::words::word_enum;

word_enum! {
    /// State of a task. The words are PanDA's and are also what the database holds.
    TaskState, "task state" {
        /// Accepted, not yet read.
        Waiting = "waiting",
        /// Its row exists; its parameters are to be refined.
        Registered = "registered",
        /// Inputs come from tape.
        Staging = "staging",
        /// Refined; its data sets are to be filled.
        Defined = "defined",
        /// Waits for a nucleus (optional stage).
        Assigning = "assigning",
        /// Files are there; jobs can be made.
        Ready = "ready",
        /// A preparation job is to be made.
        Topreprocess = "topreprocess",
        /// The preparation job is under way.
        Preprocessing = "preprocessing",
        /// The first jobs measure what jobs need.
        Scouting = "scouting",
        /// Scouts are done and assessed.
        Scouted = "scouted",
        /// Jobs are made and run.
        Running = "running",
        /// Merging (kept for old rows).
        Merging = "merging",
        /// All files are settled; the final state is to be decided.
        Prepared = "prepared",
        /// All files ended well.
        Done = "done",
        /// Some files ended well.
        Finished = "finished",
        /// No file ended well.
        Failed = "failed",
        /// Killed.
        Aborted = "aborted",
        /// Could not be read, filled or scouted.
        Broken = "broken",
        /// Stopped for the user to look at.
        Exhausted = "exhausted",
        /// On hold for a reason that may pass; the previous state is kept.
        Pending = "pending",
        /// Paused by command; the previous state is kept.
        Paused = "paused",
        /// Slowed down because its files keep failing; the previous state is kept.
        Throttled = "throttled",
        /// Retry is under way.
        Toretry = "toretry",
        /// Its input is being read anew.
        Toincexec = "toincexec",
        /// To be refined anew.
        Rerefine = "rerefine",
        /// To be moved elsewhere.
        Toreassign = "toreassign",
        /// Is being moved elsewhere.
        Reassigning = "reassigning",
        /// Is being killed.
        Aborting = "aborting",
        /// Killed; waits for its end to be booked.
        Toabort = "toabort",
        /// Is being finished early.
        Finishing = "finishing",
        /// Finished early; waits for its end to be booked.
        Passed = "passed",
        /// Broken; waits for its end to be booked.
        Tobroken = "tobroken",
        /// Seen in old rows only; nothing enters it.
        Rescued = "rescued",
    }
}

impl TaskState {
    /// States in which the task rests for good unless somebody commands otherwise.
    pub const FINAL: &'static [Self] = &[Self::Done, Self::Finished, Self::Failed, Self::Aborted, Self::Broken];

    /// States that are not final.
    pub const LIVE: &'static [Self] = &[
        Self::Waiting,
        Self::Registered,
        Self::Staging,
        Self::Defined,
        Self::Assigning,
        Self::Ready,
        Self::Topreprocess,
        Self::Preprocessing,
        Self::Scouting,
        Self::Scouted,
        Self::Running,
        Self::Merging,
        Self::Prepared,
        Self::Exhausted,
        Self::Pending,
        Self::Paused,
        Self::Throttled,
        Self::Toretry,
        Self::Toincexec,
        Self::Rerefine,
        Self::Toreassign,
        Self::Reassigning,
        Self::Aborting,
        Self::Toabort,
        Self::Finishing,
        Self::Passed,
        Self::Tobroken,
        Self::Rescued,
    ];

    /// States in which jobs may be made.
    pub const GENERATING: &'static [Self] = &[Self::Ready, Self::Scouting, Self::Scouted, Self::Running];

    /// States that count against a user's limit of active tasks (`spec/engine.md` 20.1).
    pub const COUNTED_ACTIVE: &'static [Self] =
        &[Self::Registered, Self::Defined, Self::Ready, Self::Scouting, Self::Running, Self::Paused, Self::Throttled];

    /// Whether the task rests for good.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Finished | Self::Failed | Self::Aborted | Self::Broken)
    }

    /// Whether jobs may be made.
    #[must_use]
    pub const fn is_generating(self) -> bool {
        matches!(self, Self::Ready | Self::Scouting | Self::Scouted | Self::Running)
    }

    /// Whether the previous state is kept, to go back to it.
    #[must_use]
    pub const fn is_hold(self) -> bool {
        matches!(self, Self::Pending | Self::Paused | Self::Throttled | Self::Staging)
    }
}

#[cfg(test)]
mod tests {
    use super::TaskState;

    #[test]
    fn every_state_is_final_or_live() {
        for state in TaskState::ALL {
            assert_eq!(TaskState::parse(state.as_str()), Ok(*state));
            assert_eq!(TaskState::FINAL.contains(state), state.is_final());
            assert_eq!(TaskState::LIVE.contains(state), !state.is_final());
            assert_eq!(TaskState::GENERATING.contains(state), state.is_generating());
        }
        assert!(TaskState::parse("Done").is_err());
    }
}

//! The states of a job (`spec/engine.md` section 3.1), in PanDA's words.

use crate::words::word_enum;

word_enum! {
    /// State of a job. The words are PanDA's and are also what the database holds.
    JobState, "job state" {
        /// Made by the engine, not yet let go: a library or a broker's decision is missing.
        Pending = "pending",
        /// Known and complete, its inputs are not yet looked at.
        Defined = "defined",
        /// Its inputs are on the way to the queue.
        Assigned = "assigned",
        /// Held until its inputs are there.
        Waiting = "waiting",
        /// A pilot of its queue may take it.
        Activated = "activated",
        /// As activated, but its task is paused.
        Throttled = "throttled",
        /// Handed to a pilot.
        Sent = "sent",
        /// The pilot works on it; the payload does not run yet.
        Starting = "starting",
        /// The payload runs.
        Running = "running",
        /// The pilot is done; its report waits to be settled.
        Holding = "holding",
        /// Outputs are on their way to where they belong.
        Transferring = "transferring",
        /// Outputs wait for the merge job.
        Merging = "merging",
        /// Ended well.
        Finished = "finished",
        /// Ended badly.
        Failed = "failed",
        /// Killed.
        Cancelled = "cancelled",
        /// Replaced or expired by the system.
        Closed = "closed",
    }
}

impl JobState {
    /// States that nothing follows.
    pub const FINAL: &'static [Self] = &[Self::Finished, Self::Failed, Self::Cancelled, Self::Closed];

    /// States that are not final.
    pub const LIVE: &'static [Self] = &[
        Self::Pending,
        Self::Defined,
        Self::Assigned,
        Self::Waiting,
        Self::Activated,
        Self::Throttled,
        Self::Sent,
        Self::Starting,
        Self::Running,
        Self::Holding,
        Self::Transferring,
        Self::Merging,
    ];

    /// States before a pilot has the job ("defined" in the API's three-way reading: table jobsDefined4).
    pub const BEFORE_ACTIVATION: &'static [Self] = &[Self::Pending, Self::Defined, Self::Assigned, Self::Waiting];

    /// States in which the job waits for a pilot, or for being allowed to wait for one.
    pub const QUEUED: &'static [Self] = &[Self::Pending, Self::Defined, Self::Assigned, Self::Waiting, Self::Activated, Self::Throttled];

    /// States in which a pilot has the job and sends heartbeats; the watcher looks at these.
    pub const WITH_PILOT: &'static [Self] = &[Self::Sent, Self::Starting, Self::Running];

    /// Whether nothing follows this state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled | Self::Closed)
    }

    /// Whether a pilot has the job and its payload may be running.
    #[must_use]
    pub const fn is_with_pilot(self) -> bool {
        matches!(self, Self::Sent | Self::Starting | Self::Running)
    }

    /// Whether the job waits for a pilot or for being allowed to wait for one.
    #[must_use]
    pub const fn is_queued(self) -> bool {
        matches!(self, Self::Pending | Self::Defined | Self::Assigned | Self::Waiting | Self::Activated | Self::Throttled)
    }
}

#[cfg(test)]
mod tests {
    use super::JobState;

    #[test]
    fn words_are_strict() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Ok(*state));
            assert_eq!(JobState::FINAL.contains(state), state.is_final());
            assert_eq!(JobState::LIVE.contains(state), !state.is_final());
            assert_eq!(JobState::QUEUED.contains(state), state.is_queued());
        }
        for bad in ["", "Running", "running ", "unassigned"] {
            assert!(JobState::parse(bad).is_err());
        }
        let text = JobState::parse("done").unwrap_err().to_string();
        assert!(text.starts_with("unknown job state \"done\": expected one of pending, defined,"), "{text}");
    }
}

//! The event service: a job takes the events of its files in ranges, as many as it can do, and says of each how it went; what it leaves others do
//! (`spec/engine.md` sections 3.7 and 6.3). Ranges are cut when somebody asks for them: of a file only how many were cut is kept.
//!
//! It must not know where ranges are stored, nor what a payload does with them.

use crate::words::word_enum;

word_enum! {
    /// State of a range of events.
    RangeState, "state of an event range" {
        /// Nobody has it.
        Ready = "ready",
        /// A job has asked for it.
        Sent = "sent",
        /// A job works on it.
        Running = "running",
        /// It is done, its output is stored.
        Finished = "finished",
        /// Its task was killed.
        Cancelled = "cancelled",
        /// It is given up with its job.
        Discarded = "discarded",
        /// Its output is in a merge job.
        Done = "done",
        /// Its attempts are used up.
        Failed = "failed",
        /// No attempt would help.
        Fatal = "fatal",
        /// Its output is in a merged file.
        Merged = "merged",
        /// Its output turned out to be damaged.
        Corrupted = "corrupted",
    }
}

impl RangeState {
    /// Whether a job has it in its hands.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Sent | Self::Running)
    }
}

/// The events of a file, or of a part of one, cut into ranges of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// First event within the file, from 0.
    pub first: i64,
    /// Events.
    pub events: i64,
    /// Events of a range (`nEventsPerWorker`); at least 1.
    pub each: i64,
}

impl Slice {
    /// How many ranges there are.
    #[must_use]
    pub const fn ranges(&self) -> i64 {
        let each = if self.each < 1 { 1 } else { self.each };
        if self.events <= 0 { 0 } else { (self.events - 1) / each + 1 }
    }
    /// First and last event of the `n`-th range, from 0; none when there are not so many.
    #[must_use]
    pub fn range(&self, n: i64) -> Option<(i64, i64)> {
        if n < 0 || n >= self.ranges() {
            return None;
        }
        let from = self.first + n * self.each.max(1);
        Some((from, (from + self.each.max(1) - 1).min(self.first + self.events - 1)))
    }
}

/// A range by its name on the wire, `task-job-file-number-attempt`: the job for which it was cut, the row of its file, its number in the file from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeId {
    /// The task.
    pub task: i64,
    /// The job for which it was cut.
    pub job: i64,
    /// The file's row.
    pub file: i64,
    /// Number within the file.
    pub number: i64,
    /// Attempt, from 0.
    pub attempt: i64,
}

impl std::fmt::Display for RangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}-{}-{}", self.task, self.job, self.file, self.number, self.attempt)
    }
}

impl RangeId {
    /// Reads its name; none for a text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|p| p.parse::<i64>().ok().filter(|n| *n >= 0));
        let mut next = || parts.next().flatten();
        let id = Self { task: next()?, job: next()?, file: next()?, number: next()?, attempt: next()? };
        parts.next().is_none().then_some(id)
    }
}

/// What becomes of a range by what its job says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is in this state now.
    Now(RangeState),
    /// Another job may try it, as a further attempt.
    Again,
    /// Nothing changes: it was said before.
    Known,
    /// It cannot be: the job does not have it, or it has ended.
    Refused,
}

/// What a word of a job does to a range in this state, of which `attempt` attempts were made before this one and `most` are allowed.
#[must_use]
pub fn said(state: RangeState, word: RangeState, attempt: i64, most: i64) -> Said {
    let again = if attempt + 1 < most { Said::Again } else { Said::Now(RangeState::Failed) };
    match (state, word) {
        (_, word) if word == state => Said::Known,
        (RangeState::Sent, RangeState::Running) => Said::Now(RangeState::Running),
        (s, RangeState::Finished) if s.is_held() => Said::Now(RangeState::Finished),
        (s, RangeState::Fatal) if s.is_held() => Said::Now(RangeState::Fatal),
        (s, RangeState::Failed) if s.is_held() => again,
        // Its output was found to be damaged when it was read.
        (RangeState::Finished | RangeState::Done, RangeState::Corrupted) => again,
        _ => Said::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_when_somebody_asks() {
        let s = Slice { first: 100, events: 25, each: 10 };
        assert_eq!((s.ranges(), s.range(0), s.range(2), s.range(3), s.range(-1)), (3, Some((100, 109)), Some((120, 124)), None, None));
        assert_eq!(Slice { events: 0, ..s }.ranges(), 0);
        assert_eq!(Slice { each: 0, ..s }.range(24), Some((124, 124)));
    }

    #[test]
    fn names_of_ranges() {
        let id = RangeId { task: 1, job: 22, file: 333, number: 0, attempt: 1 };
        assert_eq!((id.to_string().as_str(), RangeId::parse("1-22-333-0-1")), ("1-22-333-0-1", Some(id)));
        for wrong in ["", "1-2-3-4", "1-2-3-4-5-6", "1-2-3-4-x", "1--3-4-5", "1-2-3-4-99999999999999999999"] {
            assert_eq!(RangeId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_jobs_say() {
        use RangeState::{Corrupted, Done, Failed, Fatal, Finished, Ready, Running, Sent};
        for (state, word, attempt, want) in [
            (Sent, Running, 0, Said::Now(Running)),
            (Running, Running, 0, Said::Known),
            (Sent, Finished, 0, Said::Now(Finished)),
            (Running, Finished, 0, Said::Now(Finished)),
            (Running, Failed, 0, Said::Again),
            (Running, Failed, 2, Said::Now(Failed)),
            (Running, Fatal, 0, Said::Now(Fatal)),
            (Finished, Corrupted, 0, Said::Again),
            (Done, Corrupted, 2, Said::Now(Failed)),
            (Ready, Finished, 0, Said::Refused),
            (Fatal, Finished, 0, Said::Refused),
            (Finished, Failed, 0, Said::Refused),
            (Running, Ready, 0, Said::Refused),
        ] {
            assert_eq!(said(state, word, attempt, 3), want, "{state} {word}");
        }
    }
}

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
    /// Whether its events are done.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Finished | Self::Done | Self::Merged)
    }
    /// Whether no job will take it any more, although it is not done.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Failed | Self::Fatal | Self::Cancelled | Self::Discarded | Self::Corrupted)
    }
}

/// How the ranges of a file stand, by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All, those that are not cut yet included.
    pub ranges: i64,
    /// Done.
    pub done: i64,
    /// Given up.
    pub lost: i64,
    /// In the hands of jobs.
    pub held: i64,
}

impl Tally {
    /// Counts ranges of a state.
    pub const fn add(&mut self, state: RangeState, n: i64) {
        if state.is_done() {
            self.done += n;
        } else if state.is_lost() {
            self.lost += n;
        } else if state.is_held() {
            self.held += n;
        }
    }
    /// Ranges that a job could get now.
    #[must_use]
    pub const fn free(&self) -> i64 {
        self.ranges - self.done - self.lost - self.held
    }
    /// Whether all are done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done >= self.ranges
    }
}

/// What becomes of the files of jobs that have ended: a job's files go the same way, since what it stored may hold events of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Ranges are left: a further job takes the files.
    Left,
    /// All are done, and what was stored for them is to be merged.
    Merge,
    /// All are done, and nothing is to be merged.
    Done,
    /// Ranges were given up, and no other is left: no further job would help.
    Lost,
}

/// The fate of the files of jobs that have ended. `merges`: the task has outputs, which come about by merging.
#[must_use]
pub fn fate(files: &[Tally], merges: bool) -> Fate {
    if files.iter().all(Tally::is_done) {
        if merges && files.iter().any(|f| f.ranges > 0) { Fate::Merge } else { Fate::Done }
    } else if files.iter().any(|f| f.free() + f.held > 0) {
        Fate::Left
    } else {
        Fate::Lost
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
    fn files_of_a_job_go_the_same_way() {
        let of = |done, lost, held| Tally { ranges: 4, done, lost, held };
        let mut counted = Tally { ranges: 10, ..Tally::default() };
        for (n, state) in RangeState::ALL.iter().enumerate() {
            counted.add(*state, 1 << n);
        }
        // ready 1, sent 2, running 4, finished 8, cancelled 16, discarded 32, done 64, failed 128, fatal 256, merged 512, corrupted 1024
        assert_eq!((counted.done, counted.lost, counted.held), (8 + 64 + 512, 16 + 32 + 128 + 256 + 1024, 2 + 4));
        assert_eq!((of(1, 1, 1).free(), of(4, 0, 0).is_done()), (1, true));
        let all = of(4, 0, 0);
        for (files, merges, want) in [
            (&[all, all][..], true, Fate::Merge),
            (&[all, all], false, Fate::Done),
            (&[Tally::default()], true, Fate::Done),
            (&[all, of(3, 0, 0)], true, Fate::Left),
            (&[all, of(3, 0, 1)], true, Fate::Left),
            (&[all, of(2, 1, 0)], true, Fate::Left),
            (&[all, of(3, 1, 0)], true, Fate::Lost),
        ] {
            assert_eq!(fate(files, merges), want, "{files:?}");
        }
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

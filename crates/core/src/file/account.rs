//! The accounting table: what the end of a job does to its inputs, its outputs and the counters of their data sets (`spec/engine.md` section
//! 3.6). Everybody who ends jobs (finisher, watcher, kills, merges) asks here, and nowhere else is it decided.
//!
//! Counters of an input set follow from its rows: used = all but the ready ones, finished = the finished ones, failed = those that no job will
//! take ([`is_lost`]); events likewise. Of an output set: finished, failed and on hold.

use super::{FileRole, FileState};
use crate::job::state::JobState;
use crate::policy::retry::{Attempts, Verdict};

/// How a job ended, or that it goes to `merging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobResult {
    /// It ended well.
    Finished,
    /// It ended well and its outputs wait for a merge job.
    Merging,
    /// It ended badly.
    Failed,
    /// The worker was taken from under it: nothing is spent.
    LostWorker,
    /// It was killed.
    Cancelled,
    /// It was replaced or expired.
    Closed,
    /// It ended well, but its outputs could not be merged.
    NotMerged,
}

/// Sub-state of a job whose worker was taken from under it.
pub const LOST_WORKER: &str = "lost_worker";
/// Sub-state of a job whose outputs could not be merged.
pub const NOT_MERGED: &str = "not_merged";

impl JobResult {
    /// What a state means here; none while the job goes on.
    #[must_use]
    pub fn of(state: JobState, sub_state: Option<&str>) -> Option<Self> {
        match (state, sub_state) {
            (JobState::Finished, _) => Some(Self::Finished),
            (JobState::Merging, _) => Some(Self::Merging),
            (JobState::Failed, Some(LOST_WORKER)) => Some(Self::LostWorker),
            (JobState::Failed, Some(NOT_MERGED)) => Some(Self::NotMerged),
            (JobState::Failed, _) => Some(Self::Failed),
            (JobState::Cancelled, _) => Some(Self::Cancelled),
            (JobState::Closed, _) => Some(Self::Closed),
            _ => None,
        }
    }
}

/// What is known of one of a job's inputs at its end, beside how the job ended: by its report (`spec/engine.md` section 12.1), or by its event
/// ranges (section 3.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing: it was read.
    #[default]
    Read,
    /// It was left out on purpose.
    Skipped,
    /// It could not be read.
    Bad,
    /// Other jobs of the same files go on with it.
    Shared,
    /// All of its events are done, however the job ended.
    Done,
    /// All of its events are done, and a job is to merge what was stored for them.
    Merge,
    /// Events of it are left for another job.
    Left,
    /// Likewise, and the attempt does not count.
    LeftFree,
    /// Events of it were given up, none are left.
    Lost,
}

impl Said {
    /// What it means that a report names an input: users' payloads leave inputs out, production cannot read them.
    #[must_use]
    pub fn named(label: &str) -> Self {
        if matches!(label, "user" | "panda") { Self::Skipped } else { Self::Bad }
    }
}

/// An input of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputUse {
    /// Present state.
    pub state: FileState,
    /// Attempts so far.
    pub attempts: Attempts,
    /// What the report says of it.
    pub said: Said,
    /// Events of the file, or of its range.
    pub events: i64,
}

/// Changes of a data set's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deltas {
    /// `nFilesUsed`.
    pub used: i64,
    /// `nFilesFinished`.
    pub finished: i64,
    /// `nFilesFailed`.
    pub failed: i64,
    /// `nFilesOnHold`.
    pub on_hold: i64,
    /// Events of an input set that jobs have.
    pub events_used: i64,
    /// Events of an input set that are done (`nEventsUsed` of the API).
    pub events_finished: i64,
    /// Events of an output set (`nEvents`).
    pub events: i64,
}

/// What becomes of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputOutcome {
    /// The new state; [`FileState::Ready`] means that another job may take it and that this one is not in charge any more.
    pub state: FileState,
    /// The new attempts.
    pub attempts: Attempts,
    /// Changes of the data set's counters.
    pub deltas: Deltas,
}

/// States of an input that count as failed for good.
pub const LOST: &[FileState] = &[FileState::Failed, FileState::Cancelled, FileState::Skipped, FileState::Notmerged, FileState::Blocked];

/// Whether an input counts as done: it was processed, or it is a node of a DAG that turned out to be unnecessary.
#[must_use]
pub const fn is_done(state: FileState) -> bool {
    matches!(state, FileState::Finished | FileState::Unneeded)
}

/// Whether an input counts as failed for good.
#[must_use]
pub fn is_lost(state: FileState) -> bool {
    LOST.contains(&state)
}

/// What a job's end does to one of its inputs. `None`: the row is not touched (the job waits for its merge, or the row is not in its hands).
#[must_use]
pub fn input(file: &InputUse, result: JobResult, verdict: &Verdict) -> Option<InputOutcome> {
    if file.state != FileState::Running {
        return None;
    }
    let again = Deltas { used: -1, events_used: -file.events, ..Deltas::default() };
    let (attempts, lost_as) = match (result, file.said) {
        (JobResult::Merging, _) | (_, Said::Shared) => return None,
        (JobResult::Finished, Said::Read) | (_, Said::Done) => {
            let deltas = Deltas { finished: 1, events_finished: file.events, ..Deltas::default() };
            return Some(InputOutcome { state: FileState::Finished, attempts: file.attempts.spent(), deltas });
        }
        // Merging has attempts of its own.
        (_, Said::Merge) => {
            let attempts = Attempts { max_attempt: file.attempts.attempt + 1 + MERGE_ATTEMPTS, max_failure: None, ..file.attempts.spent() };
            return Some(InputOutcome { state: FileState::Ready, attempts, deltas: again });
        }
        (_, Said::Lost) => {
            let deltas = Deltas { failed: 1, ..Deltas::default() };
            return Some(InputOutcome { state: FileState::Failed, attempts: file.attempts.spent(), deltas });
        }
        (_, Said::LeftFree) => {
            let attempts = Attempts { max_attempt: file.attempts.max_attempt + 1, ..file.attempts.spent() };
            return Some(InputOutcome { state: FileState::Ready, attempts, deltas: again });
        }
        (JobResult::Finished, Said::Left) => (file.attempts.spent(), FileState::Failed),
        (JobResult::Finished, Said::Skipped) => (file.attempts.spent(), FileState::Skipped),
        (JobResult::Finished, Said::Bad) => (file.attempts.spent().failed(), FileState::Failed),
        (JobResult::LostWorker, _) => (file.attempts, FileState::Failed),
        (JobResult::Failed, _) => (verdict.bound(file.attempts.spent().failed()), FileState::Failed),
        (JobResult::Cancelled | JobResult::Closed, _) => (verdict.bound(file.attempts.spent()), FileState::Failed),
        (JobResult::NotMerged, _) => {
            let deltas = Deltas { failed: 1, ..Deltas::default() };
            return Some(InputOutcome { state: FileState::Notmerged, attempts: file.attempts.spent(), deltas });
        }
    };
    Some(if attempts.may_try() {
        InputOutcome { state: FileState::Ready, attempts, deltas: again }
    } else {
        InputOutcome { state: lost_as, attempts, deltas: Deltas { failed: 1, ..Deltas::default() } }
    })
}

/// An output of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputUse {
    /// What it is.
    pub role: FileRole,
    /// Present state; a pre-merge file that is ready waits for its merge.
    pub state: FileState,
    /// Whether it is there: the report names it and the storage agrees.
    pub stored: bool,
    /// Whether the job was transferring, which holds its outputs.
    pub transferring: bool,
    /// Its events.
    pub events: i64,
}

/// What becomes of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOutcome {
    /// The new state.
    pub state: FileState,
    /// Changes of the data set's counters.
    pub deltas: Deltas,
}

/// What a job's end does to one of its outputs, or the end of the merge that took it in. `None`: it is settled already, or waits for its merge.
#[must_use]
pub fn output(file: &OutputUse, result: JobResult) -> Option<OutputOutcome> {
    let waits = file.role.is_pre_merge() && file.state == FileState::Ready;
    if file.state.is_settled() || (waits && result == JobResult::Merging) {
        return None;
    }
    let held = i64::from(waits) + i64::from(file.transferring);
    let failed = |state| OutputOutcome { state, deltas: Deltas { failed: 1, on_hold: -held, ..Deltas::default() } };
    Some(match result {
        JobResult::Failed | JobResult::LostWorker | JobResult::NotMerged => failed(FileState::Failed),
        JobResult::Cancelled | JobResult::Closed => failed(FileState::Cancelled),
        // It was allowed to be absent, else the job would not have ended well.
        JobResult::Finished | JobResult::Merging if !file.stored && !waits => {
            OutputOutcome { state: FileState::Nooutput, deltas: Deltas { on_hold: -held, ..Deltas::default() } }
        }
        JobResult::Merging if file.role.is_pre_merge() => {
            OutputOutcome { state: FileState::Ready, deltas: Deltas { on_hold: 1 - held, ..Deltas::default() } }
        }
        JobResult::Finished | JobResult::Merging => OutputOutcome {
            state: FileState::Finished,
            deltas: Deltas { finished: 1, events: file.events, on_hold: -held, ..Deltas::default() },
        },
    })
}

/// Merges that may take a pre-merge file before it counts as not merged (`spec/engine.md` section 3.6: its attempt and three more).
pub const MERGE_ATTEMPTS: i64 = 3;

/// How a merge job ended, for the files that it took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeEnd {
    /// Merged: they and their jobs are finished.
    Merged,
    /// Another merge may take them; the number of attempts that were spent.
    Again(i64),
    /// No other merge is to be made.
    Never,
}

impl MergeEnd {
    /// What a merge job's end means. A kill ends all further attempts, a replacement does not (`spec/engine.md` section 3.5).
    #[must_use]
    pub fn of(result: JobResult, verdict: &Verdict) -> Option<Self> {
        match result {
            JobResult::Finished => Some(Self::Merged),
            JobResult::Merging => None,
            JobResult::LostWorker => Some(Self::Again(0)),
            JobResult::Failed | JobResult::NotMerged if verdict.is_last() => Some(Self::Never),
            JobResult::Failed | JobResult::NotMerged => Some(Self::Again(1)),
            JobResult::Closed => Some(Self::Again(0)),
            JobResult::Cancelled => Some(Self::Never),
        }
    }
    /// Whether a file with so many attempts behind it may go into another merge.
    #[must_use]
    pub const fn again(self, attempts: i64) -> bool {
        match self {
            Self::Again(spent) => attempts + spent < MERGE_ATTEMPTS,
            Self::Merged | Self::Never => false,
        }
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;

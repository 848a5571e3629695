//! Files of a task: roles, states, transitions, and what a job's end does to them (`spec/engine.md` sections 2.1.2 and 3.6).
//!
//! It must not know data sets beyond the counters it changes, nor where files lie.

use crate::machine::{self, Actor, IllegalTransition, Rule, Start, State};
use crate::policy::retry::Attempts;
use crate::words::word_enum;
use Actor::{Client, Engine, Finisher, Pilot, User, Watcher};

word_enum! {
    /// State of a file row of a task.
    FileState, "file state" {
        /// An output whose job is being made.
        Defined = "defined",
        /// An input that may be taken for a job; a pre-merge output that may be merged.
        Ready = "ready",
        /// Taken by the generator, its job is not stored yet.
        Picked = "picked",
        /// In use by a job.
        Running = "running",
        /// Processed; or an output that is registered.
        Finished = "finished",
        /// An output or input that will not come.
        Failed = "failed",
        /// Of a killed job.
        Cancelled = "cancelled",
        /// Was there once.
        Lost = "lost",
        /// Expected and not found.
        Missing = "missing",
        /// Not looked at before something happens (a parent, a scout).
        Pending = "pending",
        /// On its way from tape.
        Staging = "staging",
        /// A pre-merge output in a merge job.
        Merging = "merging",
        /// Only some of its events are done.
        Partial = "partial",
        /// An output that was allowed to be absent, and is.
        Nooutput = "nooutput",
        /// An input that the payload skipped.
        Skipped = "skipped",
        /// An input whose pre-merge output could not be merged.
        Notmerged = "notmerged",
    }
}

word_enum! {
    /// What a file is for its job or task; also the type of its data set.
    FileRole, "file role" {
        /// A real input.
        Input = "input",
        /// A number or address that stands for an input.
        PseudoInput = "pseudo_input",
        /// A random seed.
        RandomSeed = "random_seed",
        /// A library made by a build job.
        Lib = "lib",
        /// An output.
        Output = "output",
        /// A log archive.
        Log = "log",
        /// A pre-merge output.
        TrnOutput = "trn_output",
        /// A pre-merge log.
        TrnLog = "trn_log",
        /// Input of the preparation job.
        PpInput = "pp_input",
    }
}

impl FileRole {
    /// Whether jobs read it and it is counted as work.
    #[must_use]
    pub const fn is_input(self) -> bool {
        matches!(self, Self::Input | Self::PseudoInput | Self::RandomSeed | Self::PpInput)
    }

    /// Whether jobs write it.
    #[must_use]
    pub const fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::Log | Self::TrnOutput | Self::TrnLog | Self::Lib)
    }

    /// Whether it is a log archive.
    #[must_use]
    pub const fn is_log(self) -> bool {
        matches!(self, Self::Log | Self::TrnLog)
    }

    /// Whether it is only input of a merge job and not shown as a result.
    #[must_use]
    pub const fn is_pre_merge(self) -> bool {
        matches!(self, Self::TrnOutput | Self::TrnLog)
    }
}

impl FileState {
    /// States of a file that no job will touch again by itself.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Finished | Self::Failed | Self::Cancelled | Self::Lost | Self::Missing | Self::Nooutput | Self::Skipped | Self::Notmerged
        )
    }
}

/// The transition table of files.
pub const TABLE: &[Rule<FileState>] = {
    use FileState::{
        Cancelled, Defined, Failed, Finished, Lost, Merging, Missing, Nooutput, Notmerged, Partial, Pending, Picked, Ready, Running,
        Skipped, Staging,
    };
    &[
        Rule { from: Start::Nothing, to: &[Ready, Pending, Staging, Missing, Lost], actors: &[Engine], why: "5.3: listed by the feeder" },
        Rule { from: Start::Nothing, to: &[Defined, Running], actors: &[Engine, Client], why: "3.4: outputs of a new job" },
        Rule { from: Start::Nothing, to: &[Finished], actors: &[Finisher], why: "12.1: further files of a pattern output" },
        Rule { from: Start::In(&[Pending, Staging, Missing, Lost]), to: &[Ready], actors: &[Engine, User], why: "5.3: it is there now" },
        Rule { from: Start::In(&[Ready, Pending, Staging]), to: &[Missing, Lost], actors: &[Engine], why: "5.3: it is not there" },
        Rule { from: Start::In(&[Ready]), to: &[Picked], actors: &[Engine], why: "5.5: taken for a job" },
        Rule {
            from: Start::In(&[Ready]),
            to: &[Running],
            actors: &[Engine],
            why: "3.4: taken for a job that is stored in the same commit",
        },
        Rule { from: Start::In(&[Picked]), to: &[Ready], actors: &[Engine, Watcher], why: "4.4: picked and forgotten for 30 minutes" },
        Rule { from: Start::In(&[Picked, Defined]), to: &[Running], actors: &[Engine], why: "3.4: its job is stored" },
        Rule { from: Start::In(&[Ready]), to: &[Merging], actors: &[Engine], why: "6.3: in a merge job" },
        Rule {
            from: Start::In(&[Running, Partial, Merging, Picked, Defined]),
            to: &[Finished, Failed, Cancelled, Nooutput, Skipped, Notmerged],
            actors: &[Finisher, Watcher, User, Engine],
            why: "3.6: its job ended",
        },
        Rule {
            from: Start::In(&[Running, Partial, Merging]),
            to: &[Ready],
            actors: &[Finisher, Watcher, User, Engine],
            why: "3.6: its job ended badly and there may be another; or the output waits for its merge",
        },
        Rule { from: Start::In(&[Running]), to: &[Partial], actors: &[Finisher, Pilot], why: "3.7: some events are done" },
        Rule {
            from: Start::In(&[Ready]),
            to: &[Finished, Failed, Cancelled, Notmerged],
            actors: &[Finisher, Engine, User, Watcher],
            why: "6.3: the merge that took it in ended, or its task does",
        },
        Rule {
            from: Start::In(&[Failed, Cancelled, Notmerged, Lost]),
            to: &[Ready],
            actors: &[User, Engine],
            why: "4.3: its task is retried",
        },
        Rule {
            from: Start::In(&[Finished]),
            to: &[Ready, Lost],
            actors: &[User, Engine, Finisher],
            why: "6.3: a merge failed and its inputs are reset; or the file was lost",
        },
    ]
};

impl State for FileState {
    const NOUN: &'static str = "file";
    const TABLE: &'static [Rule<Self>] = TABLE;
}

/// Whether `actor` may move a file from `from` (`None`: it is being made) to `to`.
///
/// # Errors
/// [`IllegalTransition`] says whether nobody may, or who else may.
pub fn check(from: Option<FileState>, to: FileState, actor: Actor) -> Result<(), IllegalTransition> {
    machine::check(from, to, actor).map(|_why| ())
}

/// How a job ended, or that it goes to `merging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobResult {
    /// It ended well.
    Finished,
    /// It ended badly.
    Failed,
    /// It was killed.
    Cancelled,
    /// It was replaced or expired.
    Closed,
    /// It ended well and its outputs wait for a merge job.
    Merging,
}

/// A file of a job, as far as accounting is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileUse {
    /// What the file is.
    pub role: FileRole,
    /// Whether the job reads it; a pre-merge file is written by a run job and read by a merge job.
    pub reads: bool,
    /// Present state.
    pub state: FileState,
    /// Attempts so far.
    pub attempts: Attempts,
    /// Attempt for which the job has the file; a row that is further is not this job's any more.
    pub job_attempt: i64,
    /// Whether the row takes part in accounting (`keepTrack`).
    pub keep_track: bool,
    /// Events of the file, or of its range.
    pub events: i64,
    /// An output that was not made but may be absent.
    pub allowed_missing: bool,
    /// Hyper-parameter optimisation: attempts wrap and failures are not counted.
    pub hpo: bool,
    /// Whether the row waited for a co-jumbo job (`is_waiting`).
    pub waiting: bool,
    /// Whether the row's output was on hold because the job was transferring.
    pub on_hold: bool,
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
    /// `nFilesWaiting`.
    pub waiting: i64,
    /// `nEventsUsed` (inputs) or `nEvents` (outputs).
    pub events: i64,
}

/// What the end of a job does to one of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOutcome {
    /// The new state.
    pub state: FileState,
    /// The new attempts.
    pub attempts: Attempts,
    /// Whether the file may be taken for another job.
    pub again: bool,
    /// Whether name, GUID, size and checksum of the report are stored.
    pub takes_report: bool,
    /// Changes of the data set's counters.
    pub deltas: Deltas,
}

/// Attempts that a pre-merge output gets beyond its present one (`spec/engine.md` 3.6).
const MERGE_ATTEMPTS: i64 = 3;

/// The accounting table (`spec/engine.md` section 3.6). `None`: the row is not this job's business (another attempt has it, it is
/// cancelled already, it is a library, or an un-merged output of a finished job, which its merge settles).
#[must_use]
pub fn account(file: &FileUse, result: JobResult) -> Option<FileOutcome> {
    let passed_on = !file.keep_track || file.attempts.attempt != file.job_attempt;
    if passed_on || file.state == FileState::Cancelled || file.role == FileRole::Lib {
        return None;
    }
    if file.reads { account_input(file, result) } else { account_output(file, result) }
}

fn account_input(file: &FileUse, result: JobResult) -> Option<FileOutcome> {
    let mut attempts = file.attempts;
    attempts.attempt += 1;
    let waiting = -i64::from(file.waiting);
    match result {
        JobResult::Merging => None,
        JobResult::Finished => Some(FileOutcome {
            state: FileState::Finished,
            attempts,
            again: false,
            takes_report: false,
            deltas: Deltas { finished: 1, events: file.events, waiting, used: i64::from(file.waiting), ..Deltas::default() },
        }),
        JobResult::Failed | JobResult::Cancelled | JobResult::Closed => {
            if file.hpo {
                attempts.attempt %= attempts.max_attempt.max(1);
            } else if result == JobResult::Failed {
                attempts.failed += 1;
            }
            let again = attempts.may_try();
            let state = if again { FileState::Ready } else { FileState::Failed };
            let deltas =
                if again { Deltas { used: -1, waiting, ..Deltas::default() } } else { Deltas { failed: 1, waiting, ..Deltas::default() } };
            Some(FileOutcome { state, attempts, again, takes_report: false, deltas })
        }
    }
}

fn account_output(file: &FileUse, result: JobResult) -> Option<FileOutcome> {
    let ends = |state, takes_report, deltas: Deltas| {
        let deltas = Deltas { on_hold: deltas.on_hold - i64::from(file.on_hold), ..deltas };
        Some(FileOutcome { state, attempts: file.attempts, again: false, takes_report, deltas })
    };
    match result {
        JobResult::Finished | JobResult::Merging if file.allowed_missing => ends(FileState::Nooutput, false, Deltas::default()),
        JobResult::Merging => {
            let mut attempts = file.attempts;
            attempts.max_attempt = attempts.attempt + MERGE_ATTEMPTS;
            let deltas = Deltas { on_hold: 1 - i64::from(file.on_hold), ..Deltas::default() };
            Some(FileOutcome { state: FileState::Ready, attempts, again: true, takes_report: true, deltas })
        }
        JobResult::Finished if file.role.is_pre_merge() => None,
        JobResult::Finished => ends(FileState::Finished, true, Deltas { finished: 1, events: file.events, ..Deltas::default() }),
        JobResult::Failed => ends(FileState::Failed, file.role.is_log(), Deltas { failed: 1, ..Deltas::default() }),
        JobResult::Cancelled | JobResult::Closed => ends(FileState::Cancelled, false, Deltas { failed: 1, ..Deltas::default() }),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;

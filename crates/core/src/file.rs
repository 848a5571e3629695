//! Files of a task: roles, states, transitions (`spec/engine.md` section 2.1.2); what a job's end does to them is in [`account`].
//!
//! It must not know where files lie.

pub mod account;

use crate::machine::{self, Actor, IllegalTransition, Rule, Start, State};
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
        /// A node of a DAG that cannot run, because of how others ended.
        Blocked = "blocked",
        /// A node of a DAG that need not run, because of how others ended.
        Unneeded = "unneeded",
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
    /// States of a file that cannot be taken for a job yet, or not any more, without any job being to blame.
    #[must_use]
    pub const fn is_not_there(self) -> bool {
        matches!(self, Self::Missing | Self::Lost | Self::Pending | Self::Staging)
    }

    /// States of a file that no job will touch again by itself.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Finished
                | Self::Failed
                | Self::Cancelled
                | Self::Lost
                | Self::Missing
                | Self::Nooutput
                | Self::Skipped
                | Self::Notmerged
                | Self::Blocked
                | Self::Unneeded
        )
    }
}

/// The transition table of files.
pub const TABLE: &[Rule<FileState>] = {
    use FileState::{
        Blocked, Cancelled, Defined, Failed, Finished, Lost, Merging, Missing, Nooutput, Notmerged, Partial, Pending, Picked, Ready,
        Running, Skipped, Staging, Unneeded,
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
            from: Start::In(&[Pending]),
            to: &[Blocked, Unneeded, Cancelled],
            actors: &[Engine, Finisher],
            why: "15.1: how the nodes ended that this one depends on; or its task ends",
        },
        Rule {
            from: Start::In(&[Failed, Cancelled, Skipped, Notmerged, Blocked, Unneeded]),
            to: &[Pending],
            actors: &[User, Engine],
            why: "4.3: its task is retried, and what the node depends on decides again",
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

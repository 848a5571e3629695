//! Which job state may follow which, and by whom (`spec/engine.md` sections 3.2, 3.3, 3.5), as one table.
//!
//! Every change of a job's state passes [`check`]; it must not know how the change is stored.

pub use crate::machine::IllegalTransition;
use crate::machine::{self, Actor, Rule, Start, State};

use super::state::JobState;
use Actor::{Client, Engine, Finisher, Pilot, User, Watcher};
use JobState::{
    Activated, Assigned, Cancelled, Closed, Defined, Failed, Finished, Holding, Merging, Pending, Running, Sent, Starting, Throttled,
    Transferring, Waiting,
};

/// The transition table of jobs. Remaining in the same state is not a transition. Final states have no exits: each new attempt is a
/// new job.
pub const TABLE: &[Rule<JobState>] = &[
    Rule {
        from: Start::Nothing,
        to: &[Pending],
        actors: &[Engine, Client],
        why: "3.2: a job starts where the broker and the library still have a say",
    },
    Rule { from: Start::Nothing, to: &[Defined], actors: &[Engine, Client], why: "3.2: a submitted job is complete" },
    Rule { from: Start::Nothing, to: &[Waiting], actors: &[Engine], why: "3.2: a co-jumbo job waits for its jumbo" },
    Rule {
        from: Start::Nothing,
        to: &[Activated],
        actors: &[Engine, Client],
        why: "3.2: all is ready at once; pending and defined are passed in the same commit",
    },
    Rule { from: Start::In(&[Pending]), to: &[Defined], actors: &[Engine], why: "3.2: let go by the generator" },
    Rule {
        from: Start::In(&[Pending]),
        to: &[Activated],
        actors: &[Engine],
        why: "3.2: let go with all inputs ready; defined is passed in the same commit",
    },
    Rule { from: Start::In(&[Defined]), to: &[Assigned], actors: &[Engine], why: "3.2: its inputs are being brought to the queue" },
    Rule { from: Start::In(&[Defined, Assigned]), to: &[Waiting], actors: &[Engine], why: "3.2: an input is not ready" },
    Rule {
        from: Start::In(&[Defined, Assigned, Waiting]),
        to: &[Activated],
        actors: &[Engine, Finisher],
        why: "3.1, 3.2: all inputs are ready, or the library is",
    },
    Rule { from: Start::In(&[Activated]), to: &[Sent], actors: &[Pilot], why: "3.2: handed to a pilot" },
    Rule { from: Start::In(&[Activated]), to: &[Throttled], actors: &[Engine, User], why: "3.2: its task is paused" },
    Rule { from: Start::In(&[Throttled]), to: &[Activated], actors: &[Engine, User], why: "3.2: its task is resumed" },
    Rule { from: Start::In(&[Sent]), to: &[Starting, Running], actors: &[Pilot], why: "3.2: status update" },
    Rule { from: Start::In(&[Starting]), to: &[Running], actors: &[Pilot], why: "3.3: the payload runs" },
    Rule { from: Start::In(&[Sent, Starting, Running]), to: &[Transferring], actors: &[Pilot], why: "3.3: the pilot moves outputs" },
    Rule {
        from: Start::In(&[Sent, Starting, Running, Transferring]),
        to: &[Holding],
        actors: &[Pilot],
        why: "3.2, 3.3: final report, or the pilot holds",
    },
    Rule { from: Start::In(&[Holding]), to: &[Transferring], actors: &[Finisher], why: "3.2: outputs are on their way" },
    Rule { from: Start::In(&[Holding]), to: &[Merging], actors: &[Finisher], why: "3.2: ended well, its outputs wait for the merge job" },
    Rule {
        from: Start::In(&[Holding, Transferring, Merging]),
        to: &[Finished],
        actors: &[Finisher],
        why: "3.2: report settled, transfer seen, or merge done",
    },
    Rule {
        from: Start::In(JobState::LIVE),
        to: &[Failed],
        actors: &[Engine, Finisher, Watcher, User],
        why: "3.2, 13.1: set-up failed, bad report, lost, or failed by command; a pilot only reports, it never ends a job",
    },
    Rule {
        from: Start::In(JobState::LIVE),
        to: &[Cancelled, Closed],
        actors: &[Engine, Finisher, Watcher, User, Client],
        why: "3.2, 3.5: killed, expired or replaced",
    },
];

impl State for JobState {
    const NOUN: &'static str = "job";
    const TABLE: &'static [Rule<Self>] = TABLE;
}

/// Whether `actor` may move a job from `from` (`None`: it is being made) to `to`.
///
/// # Errors
/// [`IllegalTransition`] says whether nobody may, or who else may.
pub fn check(from: Option<JobState>, to: JobState, actor: Actor) -> Result<(), IllegalTransition> {
    machine::check(from, to, actor).map(|_why| ())
}

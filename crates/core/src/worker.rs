//! Workers: batch jobs that run a pilot, and slots of the local worker. States in Harvester's words (`spec/harvester.md` section 7).
//!
//! It must not know batch systems.

use crate::id::{QueueId, WorkerId};
use crate::machine::{self, Actor, IllegalTransition, Rule, Start, State};
use crate::time::Micros;
use crate::words::word_enum;
use Actor::{Client, Engine, Pilot, User, Watcher};

word_enum! {
    /// State of a worker.
    WorkerState, "worker state" {
        /// Being prepared at the agent.
        Pending = "pending",
        /// Prepared at the agent.
        Ready = "ready",
        /// Waits in the batch system.
        Submitted = "submitted",
        /// Runs.
        Running = "running",
        /// Runs without work, or its batch job is over and is being looked after.
        Idle = "idle",
        /// Ended well.
        Finished = "finished",
        /// Ended badly.
        Failed = "failed",
        /// Was killed.
        Cancelled = "cancelled",
        /// Could not be submitted; its reason is kept.
        Missed = "missed",
    }
}

impl WorkerState {
    /// Whether nothing follows; a final state sticks.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled | Self::Missed)
    }

    /// Whether it may be working on a job.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Idle)
    }
}

/// The transition table of workers. Agents report what they find, so any live state may follow any other; a final state sticks.
pub const TABLE: &[Rule<WorkerState>] = {
    use WorkerState::{Cancelled, Failed, Finished, Idle, Missed, Pending, Ready, Running, Submitted};
    &[
        Rule {
            from: Start::Nothing,
            to: WorkerState::ALL,
            actors: &[Pilot, Client, Engine],
            why: "harvester 7: the first report may say anything, agents restart",
        },
        Rule { from: Start::In(&[Pending]), to: &[Ready], actors: &[Pilot, Engine], why: "harvester 5" },
        Rule { from: Start::In(&[Pending, Ready]), to: &[Submitted, Running, Idle], actors: &[Pilot, Engine], why: "harvester 5" },
        Rule {
            from: Start::In(&[Submitted, Idle]),
            to: &[Running],
            actors: &[Pilot, Engine],
            why: "harvester 5; pilot/update_worker_status started",
        },
        Rule {
            from: Start::In(&[Running]),
            to: &[Submitted],
            actors: &[Pilot],
            why: "harvester 5: the batch system took it back into its queue",
        },
        Rule { from: Start::In(&[Submitted, Running]), to: &[Idle], actors: &[Pilot, Engine], why: "harvester 5" },
        Rule {
            from: Start::In(&[Pending, Ready, Submitted, Running, Idle]),
            to: &[Finished, Failed, Cancelled, Missed],
            actors: &[Pilot, Engine, Watcher, User],
            why: "harvester 5, 7: it ended, was killed, could not be submitted, or is not heard of any more",
        },
    ]
};

impl State for WorkerState {
    const NOUN: &'static str = "worker";
    const TABLE: &'static [Rule<Self>] = TABLE;
}

/// Whether `actor` may move a worker from `from` (`None`: first report) to `to`.
///
/// # Errors
/// [`IllegalTransition`] says whether nobody may, or who else may.
pub fn check(from: Option<WorkerState>, to: WorkerState, actor: Actor) -> Result<(), IllegalTransition> {
    machine::check(from, to, actor).map(|_why| ())
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Our number of the row.
    pub id: WorkerId,
    /// The agent (`harvester_id`); with `number` the key that agents use.
    pub agent: String,
    /// The agent's own number (`workerID`).
    pub number: i64,
    /// The queue it serves.
    pub queue_id: Option<QueueId>,
    /// State; changed only after [`check`].
    pub state: WorkerState,
    /// `batchID`.
    pub batch_id: Option<String>,
    /// Cores.
    pub core_count: i64,
    /// `SCORE`, `MCORE`, ...
    pub resource_type: String,
    /// The worker node.
    pub host: Option<String>,
    /// Why it is where it is (`diagMessage`).
    pub reason: Option<String>,
    /// When the row was made.
    pub created: Micros,
    /// When it started.
    pub started: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// When it was last heard of.
    pub modified: Micros,
    /// Number of changes of this row.
    pub rev: i64,
}

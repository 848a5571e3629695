//! The loops, one a file, and the table that says what wakes each.

mod archive;
mod balance;
mod brake;
mod close;
pub(crate) mod command;
mod count;
mod dag;
pub(crate) mod effect;
mod finish;
mod generate;
mod merge;
mod refine;
mod sweep;
mod watch;
mod workers;

use std::time::Duration;

use panda_core::time::Micros;
use panda_ops::Ops;
use panda_store::Topic;

use crate::{EngineError, Report};

/// Most tasks one step of a loop looks at.
pub const TASKS_A_STEP: i64 = 100;

/// The loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopKind {
    /// Submitted tasks get their data sets and files.
    Refine,
    /// Ready files become jobs.
    Generate,
    /// Nodes of a DAG learn of the ends that they wait for.
    Dag,
    /// Final reports are settled.
    Finish,
    /// Outputs of finished jobs are put into merge jobs.
    Merge,
    /// Commands on tasks are carried out.
    Command,
    /// Tasks whose files have all ended are closed.
    Close,
    /// Lost heartbeats and overdue states.
    Watch,
    /// Jobs are counted for who decides on the load.
    Count,
    /// Queues and machines whose jobs fail are held, canary jobs followed.
    Brake,
    /// Mail and webhooks are delivered.
    Effect,
    /// What ended some days ago goes into the archive.
    Archive,
    /// Caps, priorities by usage, jobs that move to another share.
    Balance,
    /// Files that nobody needs any more.
    Sweep,
    /// Workers that instances of Harvester are asked for.
    Workers,
}

impl LoopKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Refine,
        Self::Generate,
        Self::Dag,
        Self::Finish,
        Self::Merge,
        Self::Command,
        Self::Close,
        Self::Watch,
        Self::Count,
        Self::Brake,
        Self::Effect,
        Self::Archive,
        Self::Balance,
        Self::Sweep,
        Self::Workers,
    ];

    /// Name, for logs and the monitor.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refine => "refine",
            Self::Generate => "generate",
            Self::Dag => "dag",
            Self::Finish => "finish",
            Self::Merge => "merge",
            Self::Command => "command",
            Self::Close => "close",
            Self::Watch => "watch",
            Self::Count => "count",
            Self::Brake => "brake",
            Self::Effect => "effect",
            Self::Archive => "archive",
            Self::Balance => "balance",
            Self::Sweep => "sweep",
            Self::Workers => "workers",
        }
    }
    /// The lease under which it runs. Who lists a task keeps it at hand for who makes its jobs: these two are of one process.
    #[must_use]
    pub fn part(self) -> &'static str {
        match self {
            Self::Refine | Self::Generate => "make",
            other => other.name(),
        }
    }
    /// What wakes it.
    #[must_use]
    pub fn topics(self) -> &'static [Topic] {
        match self {
            Self::Refine => &[Topic::Tasks, Topic::Inputs],
            // Commands wait for jobs to end.
            Self::Command => &[Topic::Tasks, Topic::Ended],
            Self::Generate => &[Topic::Files],
            Self::Dag => &[Topic::Nodes],
            Self::Finish => &[Topic::Reports],
            Self::Merge | Self::Close => &[Topic::Ended],
            Self::Effect => &[Topic::Effects],
            Self::Watch => &[Topic::Holds],
            Self::Workers => &[Topic::Workers],
            Self::Count | Self::Brake | Self::Balance | Self::Archive | Self::Sweep => &[],
        }
    }
    /// The longest time between two steps.
    #[must_use]
    pub fn period(self, usual: Duration) -> Duration {
        match self {
            // Lost heartbeats are looked for once a minute (DECISIONS "Dispatch").
            Self::Watch => Duration::from_secs(60).max(usual),
            // Every 10 s (DECISIONS "Dispatch"; `spec/engine.md` 20.4).
            Self::Count | Self::Balance => Duration::from_secs(10),
            Self::Brake => Duration::from_secs(30),
            Self::Archive => Duration::from_secs(600),
            Self::Sweep => Duration::from_secs(3_600),
            // A queue's turn comes every 300 s (`spec/engine.md` 20.5).
            Self::Workers => Duration::from_secs(30),
            _ => usual,
        }
    }
}

/// Runs one step of a loop.
pub async fn step(kind: LoopKind, ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    match kind {
        LoopKind::Refine => refine::step(ops, now).await,
        LoopKind::Generate => generate::step(ops, now).await,
        LoopKind::Dag => dag::step(ops, now).await,
        LoopKind::Finish => finish::step(ops, now).await,
        LoopKind::Merge => merge::step(ops, now).await,
        LoopKind::Command => command::step(ops, now).await,
        LoopKind::Close => close::step(ops, now).await,
        LoopKind::Watch => watch::step(ops, now).await,
        LoopKind::Count => count::step(ops).await,
        LoopKind::Brake => brake::step(ops).await,
        LoopKind::Effect => effect::step(ops, now).await,
        LoopKind::Archive => archive::step(ops).await,
        LoopKind::Balance => balance::step(ops).await,
        LoopKind::Sweep => sweep::step(ops).await,
        LoopKind::Workers => workers::step(ops).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_has_a_lease() {
        for kind in LoopKind::ALL {
            assert!(crate::lease::PARTS.contains(&kind.part()), "{}", kind.name());
        }
    }
}

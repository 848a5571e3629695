//! Steps the loops of the engine as its driver does, by wake-ups and periods, on the virtual clock.

use std::time::Duration;

use panda_core::time::Micros;
use panda_engine::loops::{self, LoopKind};
use panda_ops::Ops;
use panda_store::Wake;
use tokio::sync::watch;

use crate::SimError;

/// The period of loops that have none of their own, as the driver's default.
const PERIOD: Duration = Duration::from_secs(5);
/// Most steps of a loop in one tick: a loop that never comes to rest shows as a violation instead of hanging the simulation.
const MAX_STEPS: usize = 20_000;
/// Conflicts in a row after which a loop is left until the next tick.
const MAX_CONFLICTS: usize = 8;

struct Loop {
    kind: LoopKind,
    topics: Vec<watch::Receiver<u64>>,
    next_us: i64,
}

/// The loops.
pub(crate) struct Loops {
    all: Vec<Loop>,
    /// Steps made.
    pub steps: u64,
    /// Names of loops that did not come to rest.
    pub restless: Vec<&'static str>,
}

impl Loops {
    pub fn new(wake: &Wake, now_us: i64) -> Self {
        let one =
            |kind: &LoopKind| Loop { kind: *kind, topics: kind.topics().iter().map(|t| wake.subscribe(*t)).collect(), next_us: now_us };
        // A tick is longer than the time for which a count holds: who decides finds a new one, as the driver's loops do.
        let count = LoopKind::ALL.iter().filter(|k| **k == LoopKind::Count);
        let others = LoopKind::ALL.iter().filter(|k| **k != LoopKind::Count);
        Self { all: count.chain(others).map(one).collect(), steps: 0, restless: Vec::new() }
    }
    /// Whether one was woken since it last ran.
    pub fn woken(&self) -> bool {
        self.all.iter().any(Loop::woken)
    }
    /// Runs each loop that was woken or is due, until it has no more to do at once.
    pub async fn run(&mut self, ops: &Ops, now: Micros) -> Result<(), SimError> {
        for l in &mut self.all {
            if !l.woken() && now.0 < l.next_us {
                continue;
            }
            for topic in &mut l.topics {
                topic.mark_unchanged();
            }
            l.next_us = now.0 + i64::try_from(l.kind.period(PERIOD).as_micros()).unwrap_or(i64::MAX / 2);
            let mut conflicts = 0;
            for n in 0.. {
                if n == MAX_STEPS {
                    self.restless.push(l.kind.name());
                    break;
                }
                self.steps += 1;
                match loops::step(l.kind, ops, now).await {
                    Ok(report) if report.more => conflicts = 0,
                    Ok(_) => break,
                    Err(e) if e.is_conflict() && conflicts < MAX_CONFLICTS => conflicts += 1,
                    Err(e) if e.is_conflict() => break,
                    Err(e) => return Err(SimError::Engine(l.kind.name(), e)),
                }
            }
        }
        Ok(())
    }
}

impl Loop {
    fn woken(&self) -> bool {
        self.topics.iter().any(|t| t.has_changed().unwrap_or(false))
    }
}

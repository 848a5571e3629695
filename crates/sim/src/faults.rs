//! What goes wrong beside jobs, and users who change their minds.

use panda_core::id::{JobId, TaskId};
use panda_ops::{OpsError, job, task::command};
use rand::RngExt as _;
use rand_distr::{Distribution as _, Exp};

use crate::{
    SimError,
    scenario::Faults,
    submit,
    world::{Happens, World},
};

/// How long a paused task rests, microseconds.
const PAUSE_US: i64 = 600 * 1_000_000;

/// Something that happens now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Restart,
    Kill,
    Finish,
    Pause,
    Retry,
    JobKill,
}

impl Fault {
    pub const ALL: [Self; 6] = [Self::Restart, Self::Kill, Self::Finish, Self::Pause, Self::Retry, Self::JobKill];

    fn an_hour(self, faults: &Faults) -> f64 {
        match self {
            Self::Restart => faults.restarts_an_hour,
            Self::Kill => faults.kills_an_hour,
            Self::Finish => faults.finishes_an_hour,
            Self::Pause => faults.pauses_an_hour,
            Self::Retry => faults.retries_an_hour,
            Self::JobKill => faults.job_kills_an_hour,
        }
    }
}

impl World {
    /// Plans the next fault of a kind, if there is one before work ends.
    pub(crate) fn plan(&mut self, fault: Fault) {
        let an_hour = fault.an_hour(&self.scenario.faults);
        let Ok(gaps) = Exp::new(an_hour / 3_600.0) else { return };
        if an_hour > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a time within the simulation, saturating")]
            let at = self.now_us().saturating_add((gaps.sample(&mut self.rng) * 1e6) as i64);
            if at < self.end_us() {
                self.happen(at, Happens::Fault(fault));
            }
        }
    }

    /// Lets it happen. What the system refuses is its right.
    pub(crate) async fn strike(&mut self, fault: Fault) -> Result<(), SimError> {
        self.plan(fault);
        self.counts.faults += 1;
        if fault == Fault::Restart {
            self.restart();
            return Ok(());
        }
        if fault == Fault::JobKill {
            let held: Vec<i64> = self.jobs.iter().flatten().map(|h| h.id).collect();
            if held.is_empty() {
                return Ok(());
            }
            let id = held[self.rng.random_range(0..held.len())];
            self.trace(&[3, fault as i64, id]);
            return allowed(job::kill::kill(&self.ops, &submit::operator(), &[JobId(id)], None, job::kill::Options::default()).await);
        }
        if self.tasks.is_empty() {
            return Ok(());
        }
        let n = self.rng.random_range(0..self.tasks.len());
        let (id, who) = (TaskId(self.tasks[n].id), submit::owner(&self.kinds[self.tasks[n].kind]));
        self.trace(&[3, fault as i64, id.0]);
        let soft = self.rng.random::<bool>();
        match fault {
            Fault::Kill => allowed(command::kill(&self.ops, &who, id).await),
            Fault::Finish => allowed(command::finish(&self.ops, &who, id, soft).await),
            Fault::Retry => allowed(command::retry(&self.ops, &who, id, &command::Retry::default()).await),
            Fault::Pause => {
                self.happen(self.now_us() + PAUSE_US, Happens::Resume(id.0));
                allowed(command::pause(&self.ops, &who, id).await)
            }
            Fault::Restart | Fault::JobKill => Ok(()),
        }
    }

    /// Ends a pause.
    pub(crate) async fn resume(&mut self, id: i64) -> Result<(), SimError> {
        let Some(&n) = self.by_id.get(&id) else { return Ok(()) };
        let who = submit::owner(&self.kinds[self.tasks[n as usize].kind]);
        allowed(command::resume(&self.ops, &who, TaskId(id)).await)
    }
}

/// A refusal is an answer; everything else is a failure.
fn allowed<T>(answer: Result<T, OpsError>) -> Result<(), SimError> {
    match answer {
        Ok(_) | Err(OpsError::Refused { .. } | OpsError::NotFound(_)) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

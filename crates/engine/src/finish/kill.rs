//! Ends the jobs of a task on behalf of a command.

use std::collections::HashMap;

use panda_core::{
    id::{JobId, TaskId},
    job::{kill::Killer, state::JobState},
    machine::Actor,
};
use panda_ops::{
    Ops,
    job::kill::{Options, Outcome, some},
};
use panda_store::query::job::{self, JobRow};

use crate::EngineError;

/// Jobs of one call of `some`.
const JOBS_A_PAGE: i64 = 240;
/// Jobs that one step ends or tells; the rest comes in the next, so that other commands get their turn.
const JOBS_A_STEP: usize = 5_000;

/// Which jobs a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that no pilot has. Merge jobs are left: what they merge is done.
    Queued,
    /// None.
    None,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Jobs that ended, or whose pilots were told.
    pub done: usize,
    /// Whether the bound of the step was met: there is more to do at once.
    pub more: bool,
}

/// Ends jobs of a task: queued ones at once, pilots of running ones are told.
pub async fn of_task(ops: &Ops, task: TaskId, killer: &Killer<'_>, which: Which) -> Result<Progress, EngineError> {
    let states = match which {
        Which::All => JobState::LIVE,
        Which::Queued => JobState::QUEUED,
        Which::None => return Ok(Progress { done: 0, more: false }),
    };
    let groups = HashMap::new();
    let (mut after, mut done) = (JobId(0), 0);
    loop {
        let page = job::list::to_kill(&ops.store, task, states, after, JOBS_A_PAGE).await?;
        let Some(last) = page.last() else { return Ok(Progress { done, more: false }) };
        after = last.id;
        let chosen: Vec<JobRow> = page.into_iter().filter(|j| which == Which::All || !j.kind.is_merge()).collect();
        let killers = vec![*killer; chosen.len()];
        let outcomes = some(ops, &chosen, &killers, &groups, Actor::Engine, Options::default()).await?;
        done += outcomes.iter().filter(|o| matches!(o, Outcome::Ended | Outcome::Told)).count();
        if done >= JOBS_A_STEP {
            return Ok(Progress { done, more: true });
        }
    }
}

/// Whether a command has to wait for jobs: any that lives, or, for [`Which::Queued`], any that it would end.
pub async fn any_left(ops: &Ops, task: TaskId, which: Which) -> Result<bool, EngineError> {
    match which {
        Which::All => Ok(!job::list::of_task_in(&ops.store, task, JobState::LIVE, 1).await?.is_empty()),
        Which::Queued => Ok(job::list::any_but_merge(&ops.store, task, JobState::QUEUED).await?),
        Which::None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use panda_core::{id::LaneId, job::record::JobKind};
    use panda_store::{
        Batch,
        testing::{Backend, TestDb, job_row},
    };

    /// Whatever number of merge jobs stands before it.
    #[tokio::test]
    async fn a_queued_job_behind_many_merge_jobs_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let db = TestDb::fresh(Backend::Sqlite).await;
        let clock = std::sync::Arc::new(panda_ops::clock::SystemClock);
        let ops = Ops::new(db.open().await, clock, panda_ops::Options::new("http://127.0.0.1:25080", dir.path().join("data")));
        let task = TaskId(10_000_000);
        let add = async |first: i64, n: i64, kind: JobKind| {
            let mut batch = Batch::new();
            for id in first..first + n {
                let row = JobRow { task_id: Some(task), kind, lane_id: Some(LaneId(1)), ..job_row(JobId(1_000_000_000 + id), 1, 1) };
                job::transition::add(&mut batch, &row, 0, "\"x\":1", Actor::Engine).unwrap();
            }
            ops.store.apply(batch).await.unwrap();
        };
        for page in 0..3 {
            add(page * 100, 100, JobKind::Merge).await;
        }
        assert!(!any_left(&ops, task, Which::Queued).await.unwrap());
        assert!(any_left(&ops, task, Which::All).await.unwrap());
        add(1_000, 1, JobKind::Run).await;
        assert!(any_left(&ops, task, Which::Queued).await.unwrap());
        ops.store.close().await;
    }
}

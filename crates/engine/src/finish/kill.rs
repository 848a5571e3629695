//! Ends the jobs of a task on behalf of a command.

use std::collections::HashMap;

use panda_core::{
    id::TaskId,
    job::{kill::Killer, state::JobState},
    machine::Actor,
};
use panda_ops::{
    Ops,
    job::kill::{Outcome, some},
};
use panda_store::query::job::{self, JobRow};

use crate::EngineError;

/// Jobs of one call.
const JOBS_A_CALL: usize = 200;

/// Ends the live jobs of a task, at most 1,000 of them. With `only_queued` those with a pilot are left alone. The answer is the number of
/// jobs that are still live, as far as was looked.
pub async fn of_task(ops: &Ops, task: TaskId, killer: &Killer<'_>, only_queued: bool) -> Result<usize, EngineError> {
    let jobs = job::list::of_task_in(&ops.store, task, JobState::LIVE, 1_000).await?;
    let mut left = jobs.len();
    let groups = HashMap::new();
    for chunk in jobs.chunks(JOBS_A_CALL) {
        let chunk: Vec<JobRow> = chunk.iter().filter(|j| !only_queued || j.state.is_queued()).cloned().collect();
        let killers = vec![*killer; chunk.len()];
        let outcomes = some(ops, &chunk, &killers, &groups, Actor::Engine).await?;
        left -= outcomes.iter().filter(|o| **o == Outcome::Ended).count();
    }
    Ok(left)
}

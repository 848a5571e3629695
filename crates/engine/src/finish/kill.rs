//! Ends jobs on behalf of a command: queued ones at once, those with a pilot by the command `tobekilled`.

use std::collections::HashMap;

use panda_core::{
    id::{JobId, TaskId},
    job::{
        kill::{KillDecision, KillView, Killer, on_kill},
        state::JobState,
    },
    machine::Actor,
    time::Micros,
};
use panda_ops::{Ops, clock};
use panda_store::{
    Batch,
    query::{
        job::{self, JobRow, file::JobFile},
        task::file::{self, TaskFile},
    },
};

use super::account::{self, Deltas, End};
use crate::EngineError;

/// Jobs of one batch.
const JOBS_A_BATCH: usize = 40;

/// Ends the live jobs of a task. With `only_queued` those with a pilot are left alone. The answer is the number of jobs that are still live.
pub async fn of_task(ops: &Ops, task: TaskId, killer: &Killer<'_>, only_queued: bool, now: Micros) -> Result<usize, EngineError> {
    let jobs = job::list::of_task_in(&ops.store, task, JobState::LIVE, 1_000).await?;
    let mut left = jobs.len();
    for group in jobs.chunks(JOBS_A_BATCH) {
        let group: Vec<JobRow> = group.iter().filter(|j| !only_queued || j.state.is_queued()).cloned().collect();
        left -= some(ops, &group, killer, Actor::Engine, now).await?;
    }
    Ok(left)
}

/// Ends these jobs; the answer is how many ended at once. Jobs that change meanwhile are left for the next time.
pub async fn some(ops: &Ops, jobs: &[JobRow], killer: &Killer<'_>, actor: Actor, now: Micros) -> Result<usize, EngineError> {
    if jobs.is_empty() {
        return Ok(0);
    }
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let mut files: HashMap<JobId, Vec<JobFile>> = HashMap::new();
    for f in job::file::of_jobs(&ops.store, &ids).await? {
        files.entry(f.job_id).or_default().push(f);
    }
    let mut inputs: HashMap<JobId, Vec<TaskFile>> = HashMap::new();
    for f in file::of_jobs(&ops.store, &ids).await? {
        if let Some(id) = f.job_id {
            inputs.entry(id).or_default().push(f);
        }
    }
    let mut ended = 0;
    for j in jobs {
        let mut batch = Batch::new();
        let mut deltas = Deltas::default();
        let nothing = (Vec::new(), Vec::new());
        let outputs = files.get(&j.id).unwrap_or(&nothing.0);
        let takes = inputs.get(&j.id).unwrap_or(&nothing.1);
        let ends = one(&mut batch, &mut deltas, j, outputs, takes, killer, actor, now)?;
        deltas.flush(&mut batch);
        match ops.store.apply(batch).await {
            Ok(()) => ended += usize::from(ends),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(ended)
}

#[expect(clippy::too_many_arguments, reason = "one job with all that belongs to it")]
fn one(
    batch: &mut Batch,
    deltas: &mut Deltas,
    j: &JobRow,
    outputs: &[JobFile],
    takes: &[TaskFile],
    killer: &Killer<'_>,
    actor: Actor,
    now: Micros,
) -> Result<bool, EngineError> {
    let since = clock::text(j.state_us);
    let told = j.command.as_deref().is_some_and(|c| c.contains("tobekilled"));
    let view = KillView { state: j.state, label: &j.label, working_group: None, event_service: false, told, state_since: &since };
    match on_kill(&view, killer) {
        KillDecision::Refused | KillDecision::Nothing | KillDecision::MarkRetried => Ok(false),
        KillDecision::TellPilot { .. } => {
            job::transition::command(batch, j.id, "tobekilled", now.0);
            Ok(false)
        }
        KillDecision::End(ending) => {
            let mut after = j.clone();
            after.state = ending.to;
            after.sub_state = ending.sub_state.map(str::to_owned);
            after.sup_error_code = Some(ending.error_code);
            after.diag = Some(ending.error_diag.clone());
            after.command = if ending.clears_command { None } else { Some("tobekilled".into()) };
            after.ended_us = Some(now.0);
            if ending.start_is_end {
                after.started_us = Some(now.0);
            }
            let open_outputs = outputs.iter().filter(|f| f.role.is_output()).collect();
            account::end(batch, deltas, &End { before: j, after, inputs: takes, open_outputs, actor, reason: Some(ending.error_diag) }, now.0)?;
            if j.kind == panda_core::job::record::JobKind::Merge {
                job::file::free(batch, j.id);
            }
            Ok(true)
        }
    }
}

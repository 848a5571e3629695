//! Ends jobs: queued ones at once, those with a pilot by the command `tobekilled` (`spec/engine.md` section 3.5).

use std::collections::HashMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::JobId,
    job::kill::{KillDecision, KillView, Killer, code, on_kill},
    machine::Actor,
};
use panda_store::query::{
    job::{self, JobRow, file::JobFile},
    task::{self, file::TaskFile},
};

use super::{
    account::{self, End},
    ending::Ending,
};
use crate::{MAX_CONFLICTS, Ops, OpsError, clock};

/// The command that makes a pilot stop its payload.
pub const TO_BE_KILLED: &str = "tobekilled";
/// Most jobs of one call.
pub const MAX_JOBS: usize = 5_500;
/// Jobs read at a time.
const CHUNK: usize = 200;

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The killer may not, the job is over, or its pilot was told already.
    Nothing,
    /// Its pilot is told.
    Told,
    /// It ended, or was marked as tried again.
    Ended,
    /// It changed meanwhile: read and decide again.
    Changed,
}

/// `job/kill`: one answer a job, whether it was ended or its pilot told. Who may is decided job by job.
pub async fn kill(ops: &Ops, who: &Principal, ids: &[JobId], code: Option<i64>) -> Result<Vec<bool>, OpsError> {
    table::admit(Right::JobKill, Some(who))?;
    if ids.len() > MAX_JOBS {
        return Err(OpsError::refused(format!("{} jobs in one call; kill at most {MAX_JOBS} at once", ids.len())));
    }
    let me = ops.person(who).await?.id;
    let mut done = HashMap::new();
    let mut left: Vec<JobId> = ids.to_vec();
    for _ in 0..MAX_CONFLICTS {
        let mut changed = Vec::new();
        for chunk in left.chunks(CHUNK) {
            let jobs = job::list::many(&ops.store, chunk).await?;
            let groups = working_groups(ops, &jobs).await?;
            let killers: Vec<Killer<'_>> = jobs.iter().map(|j| killer(who, j.person_id == me, code)).collect();
            for (j, outcome) in jobs.iter().zip(some(ops, &jobs, &killers, &groups, Actor::User).await?) {
                if outcome == Outcome::Changed {
                    changed.push(j.id);
                } else {
                    done.insert(j.id, outcome != Outcome::Nothing);
                }
            }
        }
        left = changed;
        if left.is_empty() {
            break;
        }
    }
    Ok(ids.iter().map(|id| done.get(id).copied().unwrap_or(false)).collect())
}

fn killer(who: &Principal, owner: bool, code: Option<i64>) -> Killer<'_> {
    Killer { name: &who.name, owner, production: who.is_production(), group_roles: &[], code, text: None }
}

/// Working groups of the tasks of production jobs; only there they count.
async fn working_groups(ops: &Ops, jobs: &[JobRow]) -> Result<HashMap<JobId, String>, OpsError> {
    let mut groups = HashMap::new();
    for j in jobs.iter().filter(|j| matches!(j.label.as_str(), "managed" | "test")) {
        if let Some(id) = j.task_id
            && let Some(group) = task::list::get(&ops.store, id).await?.and_then(|t| t.working_group)
        {
            groups.insert(j.id, group);
        }
    }
    Ok(groups)
}

/// Ends these jobs (at most a few hundred), each by the killer at its place; one outcome a job, in order. One batch a job.
pub async fn some(
    ops: &Ops,
    jobs: &[JobRow],
    killers: &[Killer<'_>],
    groups: &HashMap<JobId, String>,
    actor: Actor,
) -> Result<Vec<Outcome>, OpsError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let now = ops.now().0;
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let (mut outputs, mut inputs) = account::files_of(ops, &ids).await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for (j, killer) in jobs.iter().zip(killers) {
        let mut ending = Ending::new(ops, now).await?;
        let since = clock::text(j.state_us);
        let told = j.command.as_deref().is_some_and(|c| c.contains(TO_BE_KILLED));
        let working_group = groups.get(&j.id).map(String::as_str);
        let view = KillView { state: j.state, label: &j.label, working_group, event_service: false, told, state_since: &since };
        let files = (outputs.remove(&j.id).unwrap_or_default(), inputs.remove(&j.id).unwrap_or_default());
        let outcome = one(&mut ending, j, &files, on_kill(&view, killer), actor, now).await?;
        let batch = ending.finish();
        if batch.is_empty() {
            outcomes.push(outcome);
            continue;
        }
        match ops.store.apply(batch).await {
            Ok(()) => outcomes.push(outcome),
            Err(e) if e.is_conflict() => outcomes.push(Outcome::Changed),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(outcomes)
}

async fn one(
    ending: &mut Ending<'_>,
    j: &JobRow,
    (outputs, inputs): &(Vec<JobFile>, Vec<TaskFile>),
    decision: KillDecision,
    actor: Actor,
    now: i64,
) -> Result<Outcome, OpsError> {
    match decision {
        KillDecision::Refused | KillDecision::Nothing => Ok(Outcome::Nothing),
        KillDecision::MarkRetried => {
            job::transition::mark(&mut ending.batch, j, &JobRow { server_error_code: Some(code::RETRIED), ..j.clone() }, now);
            Ok(Outcome::Ended)
        }
        KillDecision::TellPilot { diag } => {
            let after = JobRow { command: Some(TO_BE_KILLED.into()), server_error_code: Some(code::KILL), diag: Some(diag), ..j.clone() };
            job::transition::set(&mut ending.batch, j, &after, now);
            Ok(Outcome::Told)
        }
        KillDecision::End(end) => {
            let mut after = j.clone();
            after.state = end.to;
            after.sub_state = end.sub_state.map(str::to_owned);
            after.server_error_code = Some(end.error_code);
            after.diag = Some(end.error_diag);
            after.command = if end.clears_command { None } else { Some(TO_BE_KILLED.into()) };
            after.ended_us = Some(now);
            if end.start_is_end {
                after.started_us = Some(now);
            }
            ending.end(End::new(j, after, inputs, outputs, actor)).await?;
            Ok(Outcome::Ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob, prod};
    use panda_core::{
        file::{FileRole, FileState},
        job::state::JobState,
        task::state::TaskState,
    };
    use panda_store::Batch;

    #[tokio::test]
    async fn job_by_job() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let waiting = w.job(&alice(), None, q, JobState::Activated).await;
        let running = w.job(&alice(), None, q, JobState::Running).await;
        let finished = w.job(&alice(), None, q, JobState::Finished).await;
        let bobs = w.job(&bob(), None, q, JobState::Activated).await;
        let ids = [waiting, running, finished, bobs, JobId(5)];
        assert_eq!(kill(&w.ops, &alice(), &ids, None).await.unwrap(), [true, true, false, false, false]);
        let j = w.job_row(waiting).await;
        assert_eq!((j.state, j.server_error_code, j.diag.as_deref()), (JobState::Cancelled, Some(100), Some("killed by alice")));
        let j = w.job_row(running).await;
        assert_eq!((j.state, j.command.as_deref()), (JobState::Running, Some("tobekilled")));
        assert_eq!(kill(&w.ops, &alice(), &[running], None).await.unwrap(), [false], "told once is enough");
        assert_eq!(kill(&w.ops, &prod(), &[bobs], None).await.unwrap(), [false], "a user's job needs a code");
        assert_eq!(kill(&w.ops, &prod(), &[bobs], Some(9)).await.unwrap(), [true]);
    }

    #[tokio::test]
    async fn a_killed_job_gives_its_inputs_back() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        let d = w.dataset(t, FileRole::Input, 0, &[("a", FileState::Ready)]).await;
        let j = w.job(&alice(), Some(t), q, JobState::Activated).await;
        let mut batch = Batch::new();
        let run = panda_core::policy::split::take::Run { first: 1, last: 1, job: j.0, each: 1 };
        task::file::take(&mut batch, d, &run);
        task::dataset::count(&mut batch, d, task::dataset::Delta { used: 1, ..task::dataset::Delta::default() });
        w.ops.store.apply(batch).await.unwrap();
        assert_eq!(kill(&w.ops, &alice(), &[j], None).await.unwrap(), [true]);
        let file = task::file::page(&w.ops.store, d, 0, 1).await.unwrap().remove(0);
        assert_eq!((file.state, file.attempt, file.job_id, file.prev_job), (FileState::Ready, 1, None, Some(j)));
        assert_eq!(task::dataset::of_task(&w.ops.store, t).await.unwrap()[0].n_used, 0);
    }

    #[tokio::test]
    async fn a_failed_job_is_marked_as_retried() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Failed).await;
        assert_eq!(kill(&w.ops, &alice(), &[j], Some(7)).await.unwrap(), [true]);
        assert_eq!(w.job_row(j).await.server_error_code, Some(106));
    }
}

//! Ends jobs: queued ones at once, those with a pilot by the command `tobekilled` (`spec/engine.md` section 3.5).

use std::collections::HashMap;

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    file::account::{MergeEnd, Said},
    id::{JobId, TaskId},
    job::{
        kill::{KillDecision, KillView, Killer, code, on_kill},
        record::JobKind,
        state::JobState,
    },
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
const CHUNK: usize = 240;
/// Jobs ended by one batch: about six statements and rows each, so that it stays near its bound.
const JOBS_A_BATCH: usize = 60;

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

/// What a kill may say beyond its code (`kill_options` of `job/kill`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// What a killed merge job was to merge goes into another merge (`keepUnmerged`).
    pub keep_unmerged: bool,
}

impl Options {
    /// Reads the texts of a call. `jobSubStatus=x` is for jobs that process event ranges and changes nothing for others.
    ///
    /// # Errors
    /// An option that is not known.
    pub fn parse(texts: &[String]) -> Result<Self, OpsError> {
        let mut options = Self::default();
        for text in texts {
            match text.as_str() {
                "keepUnmerged" => options.keep_unmerged = true,
                other if other.starts_with("jobSubStatus=") => {}
                other => return Err(OpsError::refused(format!("kill option `{other}` is not known; keepUnmerged and jobSubStatus=x are"))),
            }
        }
        Ok(options)
    }
}

/// `job/kill`: one answer a job, whether it was ended or its pilot told. Who may is decided job by job.
pub async fn kill(ops: &Ops, who: &Principal, ids: &[JobId], code: Option<i64>, options: Options) -> Result<Vec<bool>, OpsError> {
    table::admit(Right::JobKill, Some(who))?;
    if ids.len() > MAX_JOBS {
        return Err(OpsError::refused(format!("{} jobs in one call; kill at most {MAX_JOBS} at once", ids.len())));
    }
    let me = ops.person(who).await?.id;
    let roles: Vec<&str> = who.production_groups().collect();
    let mut done = HashMap::new();
    let mut left: Vec<JobId> = ids.to_vec();
    for _ in 0..MAX_CONFLICTS {
        let mut changed = Vec::new();
        for chunk in left.chunks(CHUNK) {
            let jobs = job::list::many(&ops.store, chunk).await?;
            let groups = working_groups(ops, &jobs).await?;
            let killer = |j: &JobRow| Killer {
                name: &who.name,
                owner: j.person_id == me,
                production: table::allowed(Right::TaskSteer, Some(who), Some(Object::of_vo(&j.vo))).is_ok(),
                group_roles: &roles,
                code,
                text: None,
            };
            let killers: Vec<Killer<'_>> = jobs.iter().map(killer).collect();
            for (j, outcome) in jobs.iter().zip(some(ops, &jobs, &killers, &groups, Actor::User, options).await?) {
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

/// `task/kill_unfinished_jobs`: the jobs of a task that have not ended, at most [`MAX_JOBS`] in a call, by the rules of [`kill`].
pub async fn kill_unfinished(ops: &Ops, who: &Principal, task: TaskId, code: Option<i64>) -> Result<Vec<bool>, OpsError> {
    table::admit(Right::JobKill, Some(who))?;
    let mut ids: Vec<JobId> = Vec::new();
    let mut after = JobId(0);
    while ids.len() < MAX_JOBS {
        let room = i64::try_from(MAX_JOBS - ids.len()).unwrap_or(0);
        let page = job::list::of_task_after(&ops.store, task, JobState::LIVE, after, room).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        ids.extend(page.iter().map(|j| j.id));
    }
    kill(ops, who, &ids, code, Options::default()).await
}

/// Working groups of the tasks of production jobs; only there they count.
async fn working_groups(ops: &Ops, jobs: &[JobRow]) -> Result<HashMap<JobId, String>, OpsError> {
    let production = |j: &&JobRow| matches!(j.label.as_str(), "managed" | "test");
    let mut tasks: Vec<TaskId> = jobs.iter().filter(production).filter_map(|j| j.task_id).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let groups: HashMap<TaskId, String> =
        task::list::many(&ops.store, &tasks).await?.into_iter().filter_map(|t| Some((t.id, t.working_group?))).collect();
    let group = |j: &JobRow| Some((j.id, groups.get(&j.task_id?)?.clone()));
    Ok(jobs.iter().filter(production).filter_map(group).collect())
}

/// A job with its files and what is decided for it.
struct Case<'a> {
    job: &'a JobRow,
    files: (Vec<JobFile>, Vec<TaskFile>),
    decision: KillDecision,
    reason: Option<&'a str>,
}

/// Ends these jobs (at most a few hundred), each by the killer at its place; one outcome a job, in order. Many in one batch; when somebody else
/// was first with one of them, each of that batch for itself.
pub async fn some(
    ops: &Ops,
    jobs: &[JobRow],
    killers: &[Killer<'_>],
    groups: &HashMap<JobId, String>,
    actor: Actor,
    options: Options,
) -> Result<Vec<Outcome>, OpsError> {
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let (mut outputs, mut inputs) = if ids.is_empty() { Default::default() } else { account::files_of(ops, &ids).await? };
    let case = |(job, killer): (&'_ JobRow, &Killer<'_>)| {
        let since = clock::text(job.state_us);
        let told = job.command.as_deref().is_some_and(|c| c.contains(TO_BE_KILLED));
        let working_group = groups.get(&job.id).map(String::as_str);
        let view = KillView {
            state: job.state,
            label: &job.label,
            working_group,
            event_service: job.kind.is_event_service(),
            told,
            state_since: &since,
        };
        on_kill(&view, killer)
    };
    let mut cases = Vec::with_capacity(jobs.len());
    for (job, killer) in jobs.iter().zip(killers) {
        let files = (outputs.remove(&job.id).unwrap_or_default(), inputs.remove(&job.id).unwrap_or_default());
        cases.push(Case { job, files, decision: case((job, killer)), reason: killer.text });
    }
    let mut outcomes = Vec::with_capacity(jobs.len());
    for chunk in cases.chunks(JOBS_A_BATCH) {
        match Box::pin(together(ops, chunk, actor, options)).await {
            Ok(all) => outcomes.extend(all),
            Err(e) if e.is_conflict() => {
                for case in chunk {
                    match Box::pin(together(ops, std::slice::from_ref(case), actor, options)).await {
                        Ok(one) => outcomes.extend(one),
                        Err(e) if e.is_conflict() => outcomes.push(Outcome::Changed),
                        Err(e) => return Err(e),
                    }
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(outcomes)
}

async fn together(ops: &Ops, cases: &[Case<'_>], actor: Actor, options: Options) -> Result<Vec<Outcome>, OpsError> {
    let now = ops.now().0;
    let mut ending = Ending::new(ops, now).await?;
    let mut outcomes = Vec::with_capacity(cases.len());
    for case in cases {
        outcomes.push(one(&mut ending, case, (actor, options), now).await?);
    }
    let batch = ending.finish();
    if !batch.is_empty() {
        ops.store.apply(batch).await?;
    }
    Ok(outcomes)
}

async fn one(ending: &mut Ending<'_>, case: &Case<'_>, (actor, options): (Actor, Options), now: i64) -> Result<Outcome, OpsError> {
    let j = case.job;
    match &case.decision {
        KillDecision::Refused | KillDecision::Nothing => Ok(Outcome::Nothing),
        KillDecision::MarkRetried => {
            job::transition::mark(&mut ending.batch, j, &JobRow { server_error_code: Some(code::RETRIED), ..j.clone() }, now);
            Ok(Outcome::Ended)
        }
        KillDecision::TellPilot { diag } => {
            let diag = Some(diag.clone());
            let after = JobRow { command: Some(TO_BE_KILLED.into()), server_error_code: Some(code::KILL), diag, ..j.clone() };
            job::transition::set(&mut ending.batch, j, &after, now);
            Ok(Outcome::Told)
        }
        KillDecision::End(end) => {
            let mut after = j.clone();
            after.state = end.to;
            after.sub_state = end.sub_state.map(str::to_owned);
            after.server_error_code = Some(end.error_code);
            after.diag = Some(end.error_diag.clone());
            after.command = if end.clears_command { None } else { Some(TO_BE_KILLED.into()) };
            after.ended_us = Some(now);
            if end.start_is_end {
                after.started_us = Some(now);
            }
            let (outputs, inputs) = &case.files;
            let mut end = End::new(j, after, inputs, outputs, actor);
            end.reason = case.reason.map(str::to_owned).or(end.reason);
            if j.kind == JobKind::EsMerge && options.keep_unmerged {
                end.said = end.inputs.iter().map(|f| (f.id, Said::LeftFree)).collect();
            }
            let merge = (j.kind == JobKind::Merge && options.keep_unmerged).then_some(MergeEnd::Again(0));
            ending.end_as(end, merge).await?;
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
        assert_eq!(kill(&w.ops, &alice(), &ids, None, Options::default()).await.unwrap(), [true, true, false, false, false]);
        let j = w.job_row(waiting).await;
        assert_eq!((j.state, j.server_error_code, j.diag.as_deref()), (JobState::Cancelled, Some(100), Some("killed by alice")));
        let j = w.job_row(running).await;
        assert_eq!((j.state, j.command.as_deref()), (JobState::Running, Some("tobekilled")));
        assert_eq!(kill(&w.ops, &alice(), &[running], None, Options::default()).await.unwrap(), [false], "told once is enough");
        assert_eq!(kill(&w.ops, &prod(), &[bobs], None, Options::default()).await.unwrap(), [false], "a user's job needs a code");
        assert_eq!(kill(&w.ops, &prod(), &[bobs], Some(9), Options::default()).await.unwrap(), [true]);
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
        assert_eq!(kill(&w.ops, &alice(), &[j], None, Options::default()).await.unwrap(), [true]);
        let file = task::file::page(&w.ops.store, d, 0, 1).await.unwrap().remove(0);
        assert_eq!((file.state, file.attempt, file.job_id, file.prev_job), (FileState::Ready, 1, None, Some(j)));
        assert_eq!(task::dataset::of_task(&w.ops.store, t).await.unwrap()[0].n_used, 0);
    }

    #[tokio::test]
    async fn a_failed_job_is_marked_as_retried() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Failed).await;
        assert_eq!(kill(&w.ops, &alice(), &[j], Some(7), Options::default()).await.unwrap(), [true]);
        assert_eq!(w.job_row(j).await.server_error_code, Some(106));
    }
}

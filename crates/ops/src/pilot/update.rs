//! Takes a pilot's status update: a pure heartbeat goes the fast way, everything else is decided by `core` and applied as one batch.

use std::collections::{HashMap, HashSet};

use panda_core::{
    id::JobId,
    job::{
        record::JobKind,
        report::{Command, Effect, INVALID_BATCH_ID, JobView, Reported, UpdateDecision, UpdateRequest, on_update},
        state::JobState,
    },
    machine::Actor,
};
use panda_store::{
    Batch,
    driver::{Beat, BeatAnswer},
    query::job::{self, JobRow, report::Report},
};
use serde_json::{Map, Value};

use crate::{
    MAX_CONFLICTS, Ops, OpsError, event,
    job::{
        account::{self, Deltas},
        kill::TO_BE_KILLED,
    },
    share::order,
};

/// Sub-state of a job that its pilot holds, as long as the final report is not in.
pub const PILOT_HOLDS: &str = "pilot_holds";

/// Sub-state of a job that failed because its pilot fell silent: should the pilot come back, it still has a payload to stop.
pub const LOST_HEARTBEAT: &str = "lost_heartbeat";

/// Most jobs whose updates share a batch: each has up to four statements and rows.
const MANY: usize = 100;

/// A status update, decoded (`spec/api_v1.md` section 10.2).
#[derive(Debug, Clone)]
pub struct Update {
    /// The job.
    pub job_id: JobId,
    /// The reported state.
    pub state: Reported,
    /// The pilot's attempt number, if it sent one.
    pub attempt: Option<i64>,
    /// The node.
    pub node: Option<String>,
    /// The batch id.
    pub batch_id: Option<String>,
    /// Finer word, e.g. `lost_worker`.
    pub sub_state: Option<String>,
    /// The output report, JSON text, with the final update.
    pub report: Option<String>,
    /// The payload's metadata, JSON text.
    pub meta: Option<String>,
    /// Exit and error codes and diagnoses, as sent: `trans_exit_code`, `pilot_error_code`, `pilot_error_diag`, ….
    pub errors: Map<String, Value>,
    /// Everything measured, as sent.
    pub metrics: Map<String, Value>,
    /// The only VO whose jobs the reporter may report; a job of another one is unknown to it.
    pub vo: Option<String>,
}

/// Applies an update; the answer is the command for the pilot (`NULL` = none).
pub async fn update(ops: &Ops, u: &Update) -> Result<Command, OpsError> {
    let now = ops.now().0;
    if is_pure(u) {
        let doc = if u.metrics.is_empty() { None } else { serde_json::to_string(&u.metrics).ok() };
        let beat = Beat { job_id: u.job_id, attempt: u.attempt, state: u.state.as_str(), doc, now_us: now };
        if let BeatAnswer::Recorded { command, debug } = ops.store.beat(beat).await? {
            return Ok(Command::pending(debug, command.as_deref()));
        }
    }
    for _ in 0..MAX_CONFLICTS {
        let row = job::list::get(&ops.store, u.job_id).await?.filter(|j| u.vo.as_ref().is_none_or(|vo| *vo == j.vo));
        let decision = decide(row.as_ref(), u);
        let Some(before) = row else { return Ok(decision.command) };
        let mut batch = Batch::new();
        build(&mut batch, &before, u, &decision, now)?;
        held_outputs(ops, &mut batch, &before, &decision).await?;
        match ops.store.apply(batch).await {
            Ok(()) => {
                if leaves_pilot(&before, &decision) {
                    order::ended(ops, before.lane_id, before.core_count).await?;
                }
                return clone_runs(ops, &before, decision).await;
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("job {} changes all the time; send the update again", u.job_id)))
}

/// Applies updates of many jobs; the answers come in the order of the updates. Those of different jobs share batches, so that what a site reports at
/// once costs few round trips; several of one job are applied in their order.
pub async fn many(ops: &Ops, updates: &[Update]) -> Vec<Result<Command, OpsError>> {
    let mut answers = Vec::with_capacity(updates.len());
    let mut rest = updates;
    while !rest.is_empty() {
        let mut seen = HashSet::new();
        let n = rest.iter().take(MANY).take_while(|u| seen.insert(u.job_id)).count();
        let (part, others) = rest.split_at(n);
        rest = others;
        match together(ops, part).await {
            Ok(commands) => answers.extend(commands.into_iter().map(Ok)),
            // Somebody changed one of the jobs, or a batch is refused for one of them: each for itself.
            Err(e) => {
                tracing::debug!("updates of {n} jobs together: {e}; one by one");
                for u in part {
                    answers.push(update(ops, u).await);
                }
            }
        }
    }
    answers
}

/// Updates of different jobs in one batch.
async fn together(ops: &Ops, updates: &[Update]) -> Result<Vec<Command>, OpsError> {
    let now = ops.now().0;
    let ids: Vec<JobId> = updates.iter().map(|u| u.job_id).collect();
    let rows: HashMap<JobId, JobRow> = job::list::many(&ops.store, &ids).await?.into_iter().map(|j| (j.id, j)).collect();
    let mut batch = Batch::new();
    let (mut decisions, mut left) = (Vec::with_capacity(updates.len()), Vec::new());
    for u in updates {
        let row = rows.get(&u.job_id).filter(|j| u.vo.as_ref().is_none_or(|vo| *vo == j.vo));
        let decision = decide(row, u);
        if let Some(before) = row {
            build(&mut batch, before, u, &decision, now)?;
            held_outputs(ops, &mut batch, before, &decision).await?;
            if leaves_pilot(before, &decision) {
                left.push(before);
            }
        }
        decisions.push((row, decision));
    }
    ops.store.apply(batch).await?;
    for job in left {
        order::ended(ops, job.lane_id, job.core_count).await?;
    }
    let mut commands = Vec::with_capacity(updates.len());
    for (row, decision) in decisions {
        commands.push(match row {
            Some(before) => clone_runs(ops, before, decision).await?,
            None => decision.command,
        });
    }
    Ok(commands)
}

/// The first of clones that runs counts, where the task says so: it says to the others to stop, or hears it from them (`spec/engine.md` section 6.3).
async fn clone_runs(ops: &Ops, before: &JobRow, decision: UpdateDecision) -> Result<Command, OpsError> {
    if before.kind != JobKind::Clone || decision.effect != Effect::To(JobState::Running) || !event::run_once(ops, before).await? {
        return Ok(decision.command);
    }
    if event::claim(ops, before.id, true).await? == event::Claim::Mine {
        return Ok(decision.command);
    }
    let now = job::list::get(&ops.store, before.id).await?;
    Ok(now.map_or(decision.command, |j| Command::pending(j.debug, j.command.as_deref().or(Some(TO_BE_KILLED)))))
}

/// Whether the job was with a pilot and is no longer.
fn leaves_pilot(before: &JobRow, decision: &UpdateDecision) -> bool {
    JobState::WITH_PILOT.contains(&before.state)
        && match &decision.effect {
            Effect::To(state) => !JobState::WITH_PILOT.contains(state),
            Effect::FinalReport { moves, .. } => *moves,
            _ => false,
        }
}

/// Whether the update can only be a heartbeat: no report, no result, no metadata, no other batch job.
fn is_pure(u: &Update) -> bool {
    matches!(u.state, Reported::Running | Reported::Starting)
        && u.report.is_none()
        && u.meta.is_none()
        && u.errors.is_empty()
        && u.batch_id.is_none()
}

fn decide(row: Option<&JobRow>, u: &Update) -> UpdateDecision {
    let view = row.map(|j| JobView {
        state: j.state,
        attempt: j.attempt,
        batch_id: j.batch_id.as_deref(),
        final_report_in: !matches!(j.sub_state.as_deref(), Some(PILOT_HOLDS | LOST_HEARTBEAT)),
        command: j.command.as_deref(),
        debug: j.debug,
    });
    on_update(view.as_ref(), &UpdateRequest { state: u.state, attempt: u.attempt, batch_id: u.batch_id.as_deref() })
}

fn build(batch: &mut Batch, before: &JobRow, u: &Update, decision: &UpdateDecision, now: i64) -> Result<(), OpsError> {
    let mut after = before.clone();
    if u.node.is_some() {
        after.host.clone_from(&u.node);
    }
    if u.batch_id.is_some() {
        after.batch_id.clone_from(&u.batch_id);
    }
    if decision.sets_started {
        after.started_us = Some(now);
    }
    if decision.sets_ended {
        after.ended_us = Some(now);
    }
    let metrics = if u.metrics.is_empty() { None } else { serde_json::to_string(&u.metrics).ok() };
    match &decision.effect {
        Effect::None => return Ok(()),
        Effect::Attributes => {
            job::report::set_live(batch, before.id, before.attempt, now, metrics.as_deref());
            if after.host != before.host || after.batch_id != before.batch_id {
                job::transition::set(batch, before, &after, now);
            }
        }
        Effect::To(state) => {
            after.state = *state;
            after.sub_state =
                if matches!(state, JobState::Holding | JobState::Transferring) { Some(PILOT_HOLDS.into()) } else { u.sub_state.clone() };
            job::transition::move_to(batch, before, &after, Actor::Pilot, now, None)?;
            job::report::set_live(batch, before.id, before.attempt, now, metrics.as_deref());
        }
        Effect::FinalReport { moves, .. } => {
            after.state = JobState::Holding;
            after.sub_state.clone_from(&u.sub_state);
            let report = Report { job_id: before.id, attempt: before.attempt, at_us: now, doc: report_doc(u) };
            if *moves {
                job::transition::move_to(batch, before, &after, Actor::Pilot, now, None)?;
            }
            job::report::add(batch, &report);
        }
        Effect::WrongBatch { diag } => {
            tracing::warn!(job = %before.id, "{diag}");
            // Once: the other pilot is told to stop with each of its updates.
            if before.sup_error_code != Some(INVALID_BATCH_ID) {
                let after = JobRow { sup_error_code: Some(INVALID_BATCH_ID), diag: Some(diag.clone()), ..before.clone() };
                job::transition::mark(batch, before, &after, now);
            }
        }
    }
    Ok(())
}

/// Outputs count as on hold while their job is transferring (`spec/engine.md` section 3.3).
async fn held_outputs(ops: &Ops, batch: &mut Batch, before: &JobRow, decision: &UpdateDecision) -> Result<(), OpsError> {
    let after = match decision.effect {
        Effect::To(state) => state,
        Effect::FinalReport { .. } => JobState::Holding,
        _ => return Ok(()),
    };
    let by = i64::from(after == JobState::Transferring) - i64::from(before.state == JobState::Transferring);
    if by != 0 && before.task_id.is_some() {
        let mut deltas = Deltas::default();
        account::transferring(&mut deltas, &job::file::of_jobs(&ops.store, &[before.id]).await?, by);
        deltas.flush(batch);
    }
    Ok(())
}

/// The report as the finisher reads it: `{"state", "sub_state", "output", "meta", "errors", "metrics"}`; `output` and `meta` are the texts
/// that the pilot sent.
fn report_doc(u: &Update) -> String {
    let mut doc = Map::new();
    doc.insert("state".into(), u.state.as_str().into());
    doc.insert("sub_state".into(), u.sub_state.clone().into());
    doc.insert("output".into(), u.report.clone().into());
    doc.insert("meta".into(), u.meta.clone().into());
    doc.insert("errors".into(), Value::Object(u.errors.clone()));
    doc.insert("metrics".into(), Value::Object(u.metrics.clone()));
    serde_json::to_string(&doc).unwrap_or_default()
}

//! Commands on a task. Each is decided by `core`, changes the task's state where it changes at once, and leaves a row for the engine, which
//! carries it out on jobs and files (`spec/engine.md` section 4.3, `spec/api_v1.md` section 13).
//!
//! Arguments travel in the command's document, a JSON object: `soft` (finish), `in_place`, `no_child_retry`, `discard_events`,
//! `disable_staging_mode`, `keep_gshare_priority`, `ignore_hard_exhausted`, `new_parameters` (retry, incexec), `site`, `cloud`, `nucleus`, `soft`, `nokill`,
//! `back_to_old_status` (reassign), `rule` (given by the engine, with its reason). A reactivation is a retry in
//! place of the task that is ready again; it adds `keep_attempt_nr` and `trigger_job_generation`.

use panda_access::{Object, Principal, Right, table};
use panda_core::{
    id::TaskId,
    machine::Actor,
    task::{
        command::{CODE_IN_PLACE, CODE_NOT_FOUND, CODE_REGISTERED, Command, CommandRejected, Doing, allowed, registered_text},
        state::TaskState,
        transition,
    },
};
use panda_store::{
    Batch,
    query::{
        archive, decision,
        task::{
            self, TaskRow,
            transition::{TaskCommand, add_command},
        },
    },
};
use serde_json::{Map, Value};

use super::{params, plan::Adjust};
use crate::{MAX_CONFLICTS, Ops, OpsError, retention};

/// Result code of a retry with new parameters; the client takes no other for success.
pub const CODE_NEW_PARAMETERS: i64 = 3;
/// Result code of `reactivate` when the task's state does not take it.
pub const CODE_NOT_REACTIVATED: i64 = 1;

/// Stages of holds that `release` does not drop: they say what a queue lacks, not that somebody is waited for.
const KEPT_STAGES: &[&str] = &["broker"];
/// Stages of holds that `release` drops even before they hold.
const WAITS: &[&str] = &["parent", "holdup", STAGING];
/// Stage of the hold for inputs from tape.
const STAGING: &str = "staging";

/// What the caller of a command gets: upstream's result code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0 = registered, 2 = no such task, 3 = retried with new parameters, 4 = its state does not take it.
    pub code: i64,
    /// For people.
    pub message: String,
}

impl Answer {
    /// Whether the command was taken.
    #[must_use]
    pub const fn taken(&self) -> bool {
        matches!(self.code, CODE_REGISTERED | CODE_NEW_PARAMETERS)
    }
}

/// Arguments of [`retry`].
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// Merged over the stored parameters; a null takes a key away.
    pub new_parameters: Option<Map<String, Value>>,
    /// Leave child tasks alone.
    pub no_child_retry: bool,
    /// Throw away what is known of events.
    pub discard_events: bool,
    /// Do not wait for inputs from tape.
    pub disable_staging_mode: bool,
    /// Keep share and priority.
    pub keep_gshare_priority: bool,
    /// Ignore the gates that make a task exhausted; counts for production only.
    pub ignore_hard_exhausted: bool,
}

/// Ends a task and its jobs.
pub async fn kill(ops: &Ops, who: &Principal, id: TaskId) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskKill, id, Command::Kill, Map::new()).await
}
/// Ends a task with what it has. `soft`: its running jobs may end.
pub async fn finish(ops: &Ops, who: &Principal, id: TaskId, soft: bool) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskFinish, id, Command::Finish, flags(&[("soft", soft)])).await
}
/// Makes and starts no more jobs.
pub async fn pause(ops: &Ops, who: &Principal, id: TaskId) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskPause, id, Command::Pause, Map::new()).await
}
/// Goes on after a pause.
pub async fn resume(ops: &Ops, who: &Principal, id: TaskId) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskResume, id, Command::Resume, Map::new()).await
}
/// Looks for new files in the inputs.
pub async fn reload_input(ops: &Ops, who: &Principal, id: TaskId, ignore_hard_exhausted: bool) -> Result<Answer, OpsError> {
    let doc = flags(&[("ignore_hard_exhausted", ignore_hard_exhausted && who.is_production())]);
    command(ops, who, Right::TaskReloadInput, id, Command::Incexec, doc).await
}
/// Does not wait for parents, staging or holds: those that hold it now do not hold it again.
pub async fn release(ops: &Ops, who: &Principal, id: TaskId) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskSteer, id, Command::Release, Map::new()).await
}
/// Does not wait for the scouts.
pub async fn avalanche(ops: &Ops, who: &Principal, id: TaskId) -> Result<Answer, OpsError> {
    command(ops, who, Right::TaskSteer, id, Command::Avalanche, Map::new()).await
}

/// Tries again what failed. With new parameters an ended task is read anew with them; a task that still runs tries its failed files in place.
pub async fn retry(ops: &Ops, who: &Principal, id: TaskId, args: &Retry) -> Result<Answer, OpsError> {
    let mut doc = flags(&[
        ("no_child_retry", args.no_child_retry),
        ("discard_events", args.discard_events),
        ("disable_staging_mode", args.disable_staging_mode),
        ("keep_gshare_priority", args.keep_gshare_priority),
        ("ignore_hard_exhausted", args.ignore_hard_exhausted && who.is_production()),
    ]);
    let steers = args.new_parameters.as_ref().is_some_and(|p| p.contains_key("gshare"));
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = owned(ops, who, Right::TaskRetry, id).await? else { return Ok(not_found(id)) };
        if steers {
            table::allowed(Right::TaskSteer, Some(who), Some(Object::of_vo(&before.vo)))?;
        }
        let is_user = before.label == "user";
        let mut batch = Batch::new();
        let mut wanted = Command::Retry;
        let mut doing = allowed(Command::Retry, before.state, is_user);
        if let Some(new) = args.new_parameters.as_ref().filter(|p| !p.is_empty()) {
            // An ended task has to be refined again; a running one goes on and takes the new values for the jobs to come.
            if !matches!(&doing, Ok(d) if d.code == CODE_IN_PLACE) {
                wanted = Command::Incexec;
                doing = allowed(Command::Incexec, before.state, is_user);
            }
            if doing.is_ok() {
                let mut changed = params::Changed::new(ops, id, new).await?;
                if args.disable_staging_mode {
                    changed.release(STAGING);
                }
                changed.store(ops, &mut batch, id);
                doc.insert("new_parameters".into(), true.into());
            }
        }
        let doing = match doing {
            Ok(doing) => doing,
            Err(rejected) => return Ok(refusal(&rejected)),
        };
        let in_place = doing.code == CODE_IN_PLACE;
        if in_place {
            doc.insert("in_place".into(), true.into());
        }
        if args.disable_staging_mode && !doc.contains_key("new_parameters") {
            unstaged(ops, &mut batch, id).await?;
        }
        match apply(ops, who, batch, &before, wanted.as_str(), doing, doc.clone()).await {
            Ok(()) => return Ok(retried(&before, in_place, doc.contains_key("new_parameters"))),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    Err(busy(id))
}

fn retried(before: &TaskRow, in_place: bool, new_parameters: bool) -> Answer {
    let (id, state) = (before.id, before.state);
    let code = if new_parameters { CODE_NEW_PARAMETERS } else { CODE_REGISTERED };
    let message = if in_place {
        format!("retry has been triggered for failed jobs while the task is still {state}")
    } else if new_parameters {
        format!("reactivation accepted. jediTaskID={id} (currently in {state} state) will be re-executed with old and/or new input")
    } else {
        registered_text(Command::Retry, id)
    };
    Answer { code, message }
}

/// Takes up an ended task without looking at its inputs again.
pub async fn reactivate(
    ops: &Ops,
    who: &Principal,
    id: TaskId,
    keep_attempt_nr: bool,
    trigger_job_generation: bool,
) -> Result<Answer, OpsError> {
    let doc = flags(&[("in_place", true), ("keep_attempt_nr", keep_attempt_nr), ("trigger_job_generation", trigger_job_generation)]);
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = owned(ops, who, Right::TaskSteer, id).await? else { return Ok(not_found(id)) };
        if transition::check(Some(before.state), TaskState::Ready, Actor::User).is_err() {
            let message = format!("task {id} is {} and cannot be reactivated; ended, exhausted and pending tasks can", before.state);
            return Ok(Answer { code: CODE_NOT_REACTIVATED, message });
        }
        let doing = Doing { code: CODE_REGISTERED, enters: Some(TaskState::Ready), then: None, keeps_previous: false, goes_back: false };
        match apply(ops, who, Batch::new(), &before, Command::Retry.as_str(), doing, doc.clone()).await {
            Ok(()) => return Ok(Answer { code: CODE_REGISTERED, message: format!("task {id} is ready again") }),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    Err(busy(id))
}

pub(super) async fn command(
    ops: &Ops,
    who: &Principal,
    right: Right,
    id: TaskId,
    what: Command,
    doc: Map<String, Value>,
) -> Result<Answer, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = owned(ops, who, right, id).await? else { return Ok(not_found(id)) };
        let doing = match allowed(what, before.state, before.label == "user") {
            Ok(doing) => doing,
            Err(rejected) => return Ok(refusal(&rejected)),
        };
        match apply(ops, who, Batch::new(), &before, what.as_str(), doing, doc.clone()).await {
            Ok(()) => return Ok(Answer { code: CODE_REGISTERED, message: registered_text(what, id) }),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    Err(busy(id))
}

/// The task, when the caller may; None when there is none (only production learns that: nobody owns what does not exist).
pub(super) async fn owned(ops: &Ops, who: &Principal, right: Right, id: TaskId) -> Result<Option<TaskRow>, OpsError> {
    let row = task::list::get(&ops.store, id).await?;
    let archived = if row.is_none() { archive::task::cold(&ops.store, id).await? } else { None };
    let owner = match row.as_ref().or(archived.as_ref()) {
        Some(t) => Some(ops.person_by_id(t.person_id).await?),
        None => None,
    };
    let task = row.as_ref().or(archived.as_ref());
    table::allowed(right, Some(who), task.map(|t| Object::owned(owner.as_ref().map(|p| p.key()), &t.vo)))?;
    match archived {
        Some(t) => Err(OpsError::refused(retention::archived(&t))),
        None => Ok(row),
    }
}

/// One batch: the state that the task enters at once, and the command's row.
async fn apply(
    ops: &Ops,
    who: &Principal,
    mut batch: Batch,
    before: &TaskRow,
    command: &str,
    doing: Doing,
    doc: Map<String, Value>,
) -> Result<(), OpsError> {
    let now = ops.now().0;
    let person = ops.person(who).await?;
    let mut after = before.clone();
    after.command = Some(command.to_owned());
    let target = if doing.goes_back { Some(back_to(before)) } else { doing.enters };
    match target {
        Some(state) => {
            after.state = state;
            // A task that is paused while it is on hold goes back to what it was before the hold.
            let held = if before.state.is_hold() { before.prev_state } else { None };
            // A retry that finds nothing to do goes back as well.
            let keeps = doing.keeps_previous || state == TaskState::Toretry;
            after.prev_state = if keeps { held.or(Some(before.state)) } else { None };
            // A retry that finds nothing to do has changed nothing of its end.
            if !state.is_final() && state != TaskState::Toretry {
                after.ended_us = None;
            }
            let reason = format!("{command} by {}", who.name);
            ops.move_task(&mut batch, before, &after, Actor::User, now, Some(&reason)).await?;
        }
        None => task::transition::set(&mut batch, before, &after, now),
    }
    adjust(ops, &mut batch, before, command).await?;
    let doc = (!doc.is_empty()).then(|| Value::Object(doc).to_string());
    add_command(&mut batch, &TaskCommand { task_id: before.id, command: command.to_owned(), person_id: person.id, at_us: now, doc });
    Ok(ops.store.apply(batch).await?)
}

/// What a command changes of the plan for good: `release` drops the holds that there are, `avalanche` the scouts. The batch is guarded by the
/// task's revision.
async fn adjust(ops: &Ops, batch: &mut Batch, before: &TaskRow, command: &str) -> Result<(), OpsError> {
    if command != Command::Release.as_str() && command != Command::Avalanche.as_str() {
        return Ok(());
    }
    let stored = task::list::doc(&ops.store, before.id).await?.and_then(|(_, adjust)| adjust);
    let known = Adjust::parse(stored.as_deref()).map_err(OpsError::Internal)?;
    let mut new = known.clone();
    if command == Command::Avalanche.as_str() {
        new.avalanche = true;
    } else {
        let stages = decision::list(&ops.store, before.id.0).await?.into_iter().map(|d| d.stage);
        for stage in stages.chain(WAITS.iter().map(|s| (*s).to_owned())) {
            if !KEPT_STAGES.contains(&stage.as_str()) && !new.is_released(&stage) {
                new.released.push(stage);
            }
        }
        task::dataset::look_at_inputs(batch, before.id);
    }
    if new != known {
        task::transition::set_adjust(batch, before.id, &new.to_text());
    }
    Ok(())
}

/// From now on a task does not wait for inputs from tape. The batch is guarded by the task's revision.
async fn unstaged(ops: &Ops, batch: &mut Batch, id: TaskId) -> Result<(), OpsError> {
    let stored = task::list::doc(&ops.store, id).await?.and_then(|(_, adjust)| adjust);
    let mut adjust = Adjust::parse(stored.as_deref()).map_err(OpsError::Internal)?;
    if !adjust.is_released(STAGING) {
        adjust.released.push(STAGING.to_owned());
        task::transition::set_adjust(batch, id, &adjust.to_text());
    }
    Ok(())
}

/// Where a held task goes on: where it was, or where its inputs are looked at, from which it finds its own way.
fn back_to(before: &TaskRow) -> TaskState {
    let back = before.prev_state.unwrap_or(TaskState::Defined);
    if transition::check(Some(before.state), back, Actor::User).is_ok() { back } else { TaskState::Defined }
}

pub(super) fn flags(given: &[(&str, bool)]) -> Map<String, Value> {
    given.iter().filter(|(_, on)| *on).map(|(key, _)| ((*key).to_owned(), true.into())).collect()
}
fn refusal(rejected: &CommandRejected) -> Answer {
    Answer { code: rejected.code(), message: rejected.to_string() }
}
pub(super) fn not_found(id: TaskId) -> Answer {
    Answer { code: CODE_NOT_FOUND, message: CommandRejected::NotFound(id).to_string() }
}
pub(super) fn busy(id: TaskId) -> OpsError {
    OpsError::refused(format!("task {id} changes all the time; give the command again"))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;

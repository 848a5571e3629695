//! Changes of a task by people and by time-driven rules that are not a matter of its parameters: where it runs, attempts, the instant
//! that rules count from (`spec/engine.md` sections 4.3 and 4.4, `spec/api_v1.md` section 13).

use panda_access::{Principal, Right};
use panda_core::{
    file::FileState,
    id::TaskId,
    machine::Actor,
    task::command::{CODE_REGISTERED, Command, allowed},
};
use panda_store::{
    Batch, Topic,
    query::task::{
        self, TaskRow,
        dataset::Delta,
        transition::{TaskCommand, add_command},
    },
};
use serde_json::{Map, Value};

use super::command::{Answer, busy, command, flags, not_found, owned};
use crate::{MAX_CONFLICTS, Ops, OpsError, broker};

/// Most attempts that one call may add; more is a slip of the keyboard.
pub const MAX_INCREASE: i64 = 1_000;
/// Hours of a year: a shift beyond is a slip of the keyboard.
const MAX_HOURS: i64 = 8_760;

/// Allows more attempts for the inputs that are not yet processed; acts at once. While the task is at work, those that had used up theirs are
/// ready again.
pub async fn increase_attempts(ops: &Ops, who: &Principal, id: TaskId, increase: i64) -> Result<Answer, OpsError> {
    if !(0..=MAX_INCREASE).contains(&increase) {
        return Err(OpsError::refused(format!("increase must be a positive integer, got {increase}; at most {MAX_INCREASE}")));
    }
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = owned(ops, who, Right::TaskSteer, id).await? else { return Ok(not_found(id)) };
        let mut batch = Batch::new();
        // The guard keeps two calls from adding while a retry counts the files.
        task::transition::set(&mut batch, &before, &before, ops.now().0);
        for d in task::dataset::of_task(&ops.store, id).await?.iter().filter(|d| d.role.is_input()) {
            task::file::more_attempts(&mut batch, d.id, increase);
            if increase > 0 && before.state.is_generating() {
                again(ops, &mut batch, d.id).await?;
            }
        }
        match ops.store.apply(batch).await {
            Ok(()) => {
                return Ok(Answer { code: CODE_REGISTERED, message: format!("{increase} more attempts for the inputs of task {id}") });
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(busy(id))
}

/// Makes the files that failed for good ready again, within the attempts that they were given.
async fn again(ops: &Ops, batch: &mut Batch, dataset: i64) -> Result<(), OpsError> {
    for (state, files, events) in task::file::totals(&ops.store, dataset).await? {
        if state == FileState::Failed && files > 0 {
            task::file::restart(batch, dataset, u64::try_from(files).unwrap_or(0));
            task::dataset::count(batch, dataset, Delta { used: -files, failed: -files, events_used: -events, ..Delta::default() });
            batch.wake(Topic::Files);
        }
    }
    Ok(())
}

/// Arguments of [`reassign`].
#[derive(Debug, Clone, Default)]
pub struct Reassign {
    /// Queue to go to.
    pub site: Option<String>,
    /// Cloud to go to.
    pub cloud: Option<String>,
    /// Site for the outputs.
    pub nucleus: Option<String>,
    /// `soft`: only jobs that wait are ended; `nokill`: none is.
    pub mode: Option<String>,
    /// Goes on in the state that it has now instead of being assigned anew.
    pub back_to_old_status: bool,
}

/// Moves a task elsewhere: its jobs are closed and its files go to other jobs.
pub async fn reassign(ops: &Ops, who: &Principal, id: TaskId, args: &Reassign) -> Result<Answer, OpsError> {
    let given = |v: &Option<String>| v.clone().filter(|v| !v.is_empty());
    let mut doc = flags(&[("back_to_old_status", args.back_to_old_status)]);
    match given(&args.mode).as_deref() {
        None => {}
        Some(mode @ ("soft" | "nokill")) => drop(doc.insert(mode.to_owned(), true.into())),
        Some(other) => return Err(OpsError::refused(format!("mode `{other}` is not known; `soft` and `nokill` are"))),
    }
    if let Some(site) = given(&args.site) {
        if ops.queue(&site).await?.is_none() {
            return Err(OpsError::refused(format!("there is no queue {site}; `panda queue list` shows all")));
        }
        doc.insert("site".into(), site.into());
    }
    if let Some(nucleus) = given(&args.nucleus) {
        broker::nucleus::check(ops, &nucleus).await?;
    }
    for (key, value) in [("cloud", given(&args.cloud)), ("nucleus", given(&args.nucleus))] {
        if let Some(value) = value {
            doc.insert(key.into(), value.into());
        }
    }
    command(ops, who, Right::TaskReassign, id, Command::Reassign, doc).await
}

/// A time-driven rule, or a parent's end, gives a command on a task, in the name of its owner. False when somebody else changed it first.
pub async fn by_rule(
    ops: &Ops,
    before: &TaskRow,
    command: Command,
    mut doc: Map<String, Value>,
    actor: Actor,
    reason: &str,
) -> Result<bool, OpsError> {
    let now = ops.now().0;
    let Ok(doing) = allowed(command, before.state, false) else { return Ok(false) };
    let mut after = TaskRow { command: Some(command.as_str().to_owned()), reason: Some(reason.to_owned()), ..before.clone() };
    let mut batch = Batch::new();
    if let Some(state) = doing.enters {
        after.state = state;
        let held = if before.state.is_hold() { before.prev_state } else { None };
        after.prev_state = if doing.keeps_previous { held.or(Some(before.state)) } else { None };
        ops.move_task(&mut batch, before, &after, actor, now, Some(reason)).await?;
    } else {
        task::transition::set(&mut batch, before, &after, now);
    }
    doc.insert("rule".into(), reason.into());
    let doc = Some(Value::Object(doc).to_string());
    let row = TaskCommand { task_id: before.id, command: command.as_str().to_owned(), person_id: before.person_id, at_us: now, doc };
    add_command(&mut batch, &row);
    match ops.store.apply(batch).await {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Shifts the instant that time-driven rules count from to so many hours from now (before now, when negative).
pub async fn change_modification_time(ops: &Ops, who: &Principal, id: TaskId, hours: i64) -> Result<Answer, OpsError> {
    if hours.abs() > MAX_HOURS {
        return Err(OpsError::refused(format!("an offset of {hours} hours is beyond a year")));
    }
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = owned(ops, who, Right::TaskSteer, id).await? else { return Ok(not_found(id)) };
        let at = ops.now().0 + hours * 3_600_000_000;
        let mut batch = Batch::new();
        task::transition::set_times(&mut batch, &before, at);
        match ops.store.apply(batch).await {
            Ok(()) => {
                return Ok(Answer {
                    code: CODE_REGISTERED,
                    message: format!("modification time of task {id} is {}", crate::clock::text(at)),
                });
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(busy(id))
}

#[cfg(test)]
#[path = "steer_tests.rs"]
mod tests;

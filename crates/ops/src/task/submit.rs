//! Takes a new task: whose it is, whether its name is free, whether its parameters can ever become jobs, and whether a queue could ever take
//! them. What is accepted here can run.

use panda_access::{Principal, Right, table};
use panda_core::{
    id::TaskId,
    machine::Actor,
    setting::dispatch::ACTIVE_TASKS,
    task::{command::Command, state::TaskState},
};
use panda_store::{
    Batch, IdKind,
    query::task::{self, TaskRow, transition::TaskCommand},
};
use panda_wire::TaskParameters;
use serde_json::Value;

use super::{
    active,
    plan::{Adjust, Plan},
    rank,
};
use crate::{MAX_CONFLICTS, Ops, OpsError, broker, retention, share, vo::Vos};

/// Upstream's result codes (`spec/client.md` section 4.3).
pub mod code {
    /// Accepted.
    pub const OK: i64 = 0;
    /// A task of this name is on its way.
    pub const QUEUED: i64 = 1;
    /// A task of this name is in a state that cannot be taken up again.
    pub const STATE: i64 = 2;
    /// An ended task of this name is taken up again.
    pub const REACTIVATED: i64 = 3;
    /// Not registered: the parameters are faulty.
    pub const FAULTY: i64 = 4;
    /// Too many active tasks.
    pub const TOO_MANY: i64 = 10;
    /// No such parent.
    pub const NO_PARENT: i64 = 11;
}

/// An accepted task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Its number.
    pub task_id: TaskId,
    /// [`code::OK`] or [`code::REACTIVATED`].
    pub code: i64,
    /// Text for the user; holds `jediTaskID=<n>` and ends with the address of the task's page.
    pub message: String,
}

/// Submits a task. Refusals carry a [`code`] and a sentence that names the parameter.
pub async fn submit(ops: &Ops, who: &Principal, mut params: Value, parent: Option<i64>) -> Result<Submitted, OpsError> {
    table::allowed(Right::TaskSubmit, Some(who), None)?;
    let faulty = |what: String| OpsError::coded(code::FAULTY, format!("failed to register task: {what}"));
    let mut typed = TaskParameters::from_value(params.clone()).map_err(|e| faulty(e.to_string()))?;
    let (vo, note) = choose_vo(&*ops.vos().await?, who, typed.vo.as_deref())?;
    if let Value::Object(map) = &mut params {
        map.insert("vo".into(), vo.clone().into());
    }
    typed.vo = Some(vo.clone());
    let label = typed.prod_source_label.clone().unwrap_or_else(|| "user".into());
    if label == "managed" {
        table::allowed(Right::JobSubmitManaged, Some(who), None)?;
    }
    let settings = ops.settings().await?;
    let mut adjust = Adjust::of_defaults(&settings, &vo, &label);
    let (stated, own) = rank::priorities(&settings, &typed, &vo, &label);
    let priority = if who.is_production() { stated } else { own };
    adjust.priority = Some(priority).filter(|p| *p != own);
    let accepted = Plan::accept(&typed, &adjust).map_err(|e| faulty(e.to_string()))?;
    let note = accepted.notes.iter().fold(note, |note, more| format!("{note} ({more})"));
    let person = ops.person(who).await?;
    let parent = parent.or(typed.parent_tid).filter(|p| *p > 0).map(TaskId);
    if let Some(parent) = parent
        && super::read::seen(ops, who, parent).await?.is_none()
    {
        return Err(OpsError::coded(code::NO_PARENT, format!("parent task {parent} not found")));
    }
    active::check(ops, person.id, None, ops.options.max_active_tasks).await?;
    if let Some(most) = settings.opt_int(&ACTIVE_TASKS, &vo, &label) {
        active::check(ops, person.id, Some(&label), most).await?;
    }
    if let Some(share) = &accepted.plan.behaviour.share {
        if table::allowed(Right::TaskSteer, Some(who), None).is_err() {
            return Err(faulty(
                "parameter `gshare`: to name a share needs the production role; leave it away, the shares' rules choose".into(),
            ));
        }
        if !ops.shares().await?.tree.is_leaf(share) {
            return Err(faulty(format!(
                "parameter `gshare`: share `{share}` does not exist or has parts; `panda share list` shows the shares"
            )));
        }
    }
    if let Some(nucleus) = &accepted.plan.needs.nucleus {
        broker::nucleus::check(ops, nucleus).await.map_err(|e| faulty(format!("parameter `nucleus`: {e}")))?;
    }
    let (types, plan) = (ops.resource_types().await?, &accepted.plan);
    let share = share::of_task(ops, &typed, &vo, &label, types.of(plan.cores, plan.ram_mb), &person.name).await?;
    let name = typed.task_name.clone().unwrap_or_default();
    let new = TaskRow {
        working_group: typed.working_group.clone(),
        processing_type: typed.processing_type.clone(),
        priority,
        parent_id: parent,
        share_name: Some(share),
        nucleus: plan.needs.nucleus.clone(),
        ..TaskRow::new(TaskId(0), &name, TaskState::Registered, &vo, &label, person.id, 0)
    };
    if let Some(why) = broker::refusal(ops, &broker::needs::of(&new, plan, &types, 0)).await? {
        return Err(faulty(why));
    }
    let text = serde_json::to_string(&params).unwrap_or_default();
    let unique = typed.unique_task_name == Some(true);
    for _ in 0..MAX_CONFLICTS {
        let holder = if unique { task::transition::named(&ops.store, person.id, &name).await? } else { None };
        if let Some(old) = holder {
            match take_up(ops, old, person.id, &text, &adjust, &name).await {
                Ok(submitted) => return Ok(finish(ops, submitted, &note)),
                Err(e) if e.is_conflict() => continue,
                Err(e) => return Err(e),
            }
        }
        let now = ops.now().0;
        let id = TaskId(ops.store.id(IdKind::Task).await?);
        // Time-driven rules have nothing to find in what has just begun.
        let row = TaskRow { id, created_us: now, modified_us: now, state_us: now, checked_us: Some(now), ..new.clone() };
        let mut batch = Batch::new();
        task::transition::add(&mut batch, &row, &text, unique, Actor::Client)?;
        if adjust != Adjust::default() {
            task::transition::set_adjust(&mut batch, id, &adjust.to_text());
        }
        retention::uses::name(ops, &mut batch, id.0, &text);
        match ops.store.apply(batch).await {
            Ok(()) => {
                active::one_more(ops, person.id, &label);
                let message = format!("succeeded. new jediTaskID={}", row.id);
                return Ok(finish(ops, Submitted { task_id: row.id, code: code::OK, message }, &note));
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::coded(code::QUEUED, format!("another submission for outDS={name} is under way")))
}

/// Adds what was changed, and where to look, to the answer.
fn finish(ops: &Ops, mut submitted: Submitted, note: &str) -> Submitted {
    submitted.message = format!("{}{note} {}/task/{}/", submitted.message, ops.options.monitor_url, submitted.task_id);
    submitted
}

/// The VO of the task, and what the answer says about it: the one asked for when it is configured (or the caller's), else the caller's.
fn choose_vo(vos: &Vos, who: &Principal, asked: Option<&str>) -> Result<(String, String), OpsError> {
    let asked = asked.map(str::to_lowercase).filter(|v| !v.is_empty());
    let own = who.vo.as_deref();
    let known = |vo: &str| own == Some(vo) || vos.contains(vo);
    match (asked, own) {
        (Some(vo), _) if known(&vo) => Ok((vo, String::new())),
        (Some(vo), Some(own)) => Ok((own.to_owned(), format!(" (VO `{vo}` is not configured here, the task is of your VO `{own}`)"))),
        (None, Some(own)) => Ok((own.to_owned(), String::new())),
        (Some(vo), None) => Err(OpsError::coded(
            code::FAULTY,
            format!("failed to register task: VO `{vo}` is not configured here and your identity names none; configured: {}", vos.list()),
        )),
        (None, None) => {
            Err(OpsError::coded(code::FAULTY, "failed to register task: parameter `vo` is missing and your identity names none"))
        }
    }
}

/// A task of this name exists: an ended one is taken up again with the new parameters, a live one refuses.
async fn take_up(ops: &Ops, old: TaskId, person: i64, params: &str, adjust: &Adjust, name: &str) -> Result<Submitted, OpsError> {
    let Some(before) = task::list::get(&ops.store, old).await? else {
        return Err(OpsError::Internal(format!("task {old} holds the name {name} but is missing")));
    };
    let state = before.state;
    let outcome = panda_core::task::command::allowed(Command::Incexec, state, before.label == "user");
    let Ok(doing) = outcome else {
        return if state.is_final() || state.is_hold() {
            Err(OpsError::coded(code::STATE, format!("jediTaskID={old} is in the {state} state for outDS={name}")))
        } else {
            Err(OpsError::coded(code::QUEUED, format!("jediTaskID={old} is already queued for outDS={name}")))
        };
    };
    let now = ops.now().0;
    let mut batch = Batch::new();
    let after = TaskRow { state: doing.enters.unwrap_or(state), command: Some("incexec".into()), ..before.clone() };
    ops.move_task(&mut batch, &before, &after, Actor::Client, now, Some("submitted again")).await?;
    task::transition::set_params(&mut batch, old, params);
    // What the engine changed belonged to the parameters that are now gone.
    task::transition::set_adjust(&mut batch, old, &adjust.to_text());
    retention::uses::name(ops, &mut batch, old.0, params);
    let command = TaskCommand { task_id: old, command: Command::Incexec.as_str().to_owned(), person_id: person, at_us: now, doc: None };
    task::transition::add_command(&mut batch, &command);
    ops.store.apply(batch).await?;
    let message =
        format!("reactivation accepted. jediTaskID={old} (currently in {state} state) will be re-executed with old and/or new input");
    Ok(Submitted { task_id: old, code: code::REACTIVATED, message })
}

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;

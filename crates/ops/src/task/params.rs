//! Changes of a task's parameters: merged over what is stored, checked by the same plan as a submission, and stored with a new revision, so
//! that the jobs to come follow them. `task/change_split_rule` and `task/change_attribute` (`spec/api_v1.md` section 13) are such changes.

use panda_access::{Object, Principal, Right, table};
use panda_core::{id::TaskId, policy::rules};
use panda_store::{
    Batch, Topic,
    query::{
        archive,
        task::{self, TaskRow},
    },
};
use panda_wire::TaskParameters;
use serde_json::{Map, Value};

use super::plan::{Adjust, Plan, language};
use crate::{MAX_CONFLICTS, Ops, OpsError, retention};

/// Parameters that make a task what it is; nothing changes them.
const FIXED: &[&str] = &["taskName", "userName", "vo", "prodSourceLabel", "taskType", "uniqueTaskName"];
/// Code of a split rule that may not be changed (`spec/api_v1.md` section 13).
pub const CODE_NOT_CHANGEABLE: i64 = 2;
/// Attributes that `task/change_attribute` takes, and the parameters that they are.
const ATTRIBUTES: &[(&str, &str)] =
    &[("ramCount", "ramCount"), ("wallTime", "walltime"), ("cpuTime", "cpuTime"), ("coreCount", "coreCount")];

/// Stored parameters with others over them.
#[derive(Debug)]
pub(crate) struct Changed {
    params: String,
    adjust: Adjust,
    was: Adjust,
}

impl Changed {
    /// The stored parameters of a task with `new` over them, after the checks of a submission; a null takes a key away.
    ///
    /// # Errors
    /// The parameter that is refused.
    pub(crate) async fn new(ops: &Ops, id: TaskId, new: &Map<String, Value>) -> Result<Self, OpsError> {
        let missing = || OpsError::Internal(format!("task {id} has no parameters"));
        let (stored, adjust) = task::list::doc(&ops.store, id).await?.ok_or_else(missing)?;
        let was = Adjust::parse(adjust.as_deref()).map_err(OpsError::Internal)?;
        let adjust = was.after(new);
        Ok(Self { params: merged(id, &stored, new, &adjust)?, adjust, was })
    }

    /// From now on a hold of this stage does not hold the task.
    pub(crate) fn release(&mut self, stage: &str) {
        if !self.adjust.is_released(stage) {
            self.adjust.released.push(stage.to_owned());
        }
    }

    /// Stores them and notes which uploads they name; the caller guards the batch by the task's revision.
    pub(crate) fn store(&self, ops: &Ops, batch: &mut Batch, id: TaskId) {
        task::transition::set_params(batch, id, &self.params);
        retention::uses::name(ops, batch, id.0, &self.params);
        if self.adjust != self.was {
            task::transition::set_adjust(batch, id, &self.adjust.to_text());
        }
    }
}

fn merged(id: TaskId, stored: &str, new: &Map<String, Value>, adjust: &Adjust) -> Result<String, OpsError> {
    let Ok(Value::Object(mut merged)) = serde_json::from_str(stored) else {
        return Err(OpsError::Internal(format!("the parameters of task {id} are no JSON object")));
    };
    for (key, value) in new {
        if FIXED.contains(&key.as_str()) && merged.get(key) != Some(value) {
            return Err(OpsError::refused(format!("new_parameters cannot change {key} of task {id}; submit a new task instead")));
        }
        match (key.as_str(), value) {
            // The client says the opposite of what a submission says.
            ("loopingCheck", Value::Bool(on)) => drop(merged.insert("noLoopingCheck".into(), (!on).into())),
            (_, Value::Null) => drop(merged.shift_remove(key)),
            _ => drop(merged.insert(key.clone(), value.clone())),
        }
    }
    let merged = Value::Object(merged);
    let typed = TaskParameters::from_value(merged.clone()).map_err(|e| OpsError::refused(format!("new_parameters: {e}")))?;
    Plan::accept(&typed, adjust).map_err(|e| OpsError::refused(format!("new_parameters: {e}")))?;
    Ok(merged.to_string())
}

/// Changes a split rule of a task: `code` is two letters, an empty `value` (or `None`) takes the rule away. The answer is a sentence.
///
/// # Errors
/// Refused with [`CODE_NOT_CHANGEABLE`] when the rule may not be changed or would have no effect; a sentence when the value makes no sense.
pub async fn change_split_rule(ops: &Ops, who: &Principal, id: TaskId, code: &str, value: &str) -> Result<String, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    let not = |why: String| OpsError::coded(CODE_NOT_CHANGEABLE, why);
    let Some(rule) = rules::by_code(code).filter(|r| r.changeable) else {
        let valid: Vec<&str> = rules::changeable().collect();
        return Err(not(format!("split rule `{code}` cannot be changed on a live task; these can: {}", valid.join(","))));
    };
    let new = match value.trim() {
        "" | "None" | "null" => Value::Null,
        value => rule.read(value).map_err(OpsError::refused)?.map_or(Value::Null, language::json),
    };
    match rule.here {
        rules::Here::No(why) if !new.is_null() => {
            return Err(not(format!("split rule {code} ({}) has no effect here: {why}", rule.name)));
        }
        _ => {}
    }
    // Only the first of several names stays, or a stored other one would go on to count.
    let mut changes: Map<String, Value> = rule.parameters.iter().skip(1).map(|k| ((*k).to_owned(), Value::Null)).collect();
    changes.insert(rule.parameter().to_owned(), new);
    let text = if value.is_empty() { format!("{code} taken away") } else { format!("{code}={value}") };
    change(ops, who, id, &changes, &text).await
}

/// Changes memory, wall time, CPU time or cores of a task. The answer is a sentence.
///
/// # Errors
/// An attribute that cannot be changed, or a value that makes no sense.
pub async fn change_attribute(ops: &Ops, who: &Principal, id: TaskId, attribute: &str, value: i64) -> Result<String, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    let Some((_, key)) = ATTRIBUTES.iter().find(|(name, _)| *name == attribute) else {
        let valid: Vec<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
        return Err(OpsError::refused(format!("attribute `{attribute}` cannot be changed; these can: {}", valid.join(", "))));
    };
    let changes = Map::from_iter([((*key).to_owned(), Value::from(value))]);
    change(ops, who, id, &changes, &format!("{attribute}={value}")).await
}

pub(super) async fn change(ops: &Ops, who: &Principal, id: TaskId, changes: &Map<String, Value>, text: &str) -> Result<String, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let Some(before) = task::list::get(&ops.store, id).await? else {
            return Err(match archive::task::cold(&ops.store, id).await? {
                Some(t) => OpsError::refused(retention::archived(&t)),
                None => OpsError::NotFound(super::read::NOT_FOUND.into()),
            });
        };
        table::allowed(Right::TaskSteer, Some(who), Some(Object::of_vo(&before.vo)))?;
        let mut batch = Batch::new();
        task::transition::set(&mut batch, &before, &TaskRow { checked_us: None, ..before.clone() }, ops.now().0);
        Changed::new(ops, id, changes).await?.store(ops, &mut batch, id);
        batch.wake(Topic::Tasks);
        match ops.store.apply(batch).await {
            Ok(()) => {
                tracing::info!(task = %id, change = text, by = who.name, "parameters changed");
                return Ok("1 tasks changed".into());
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("task {id} changes all the time; give the command again")))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;

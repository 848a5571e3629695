//! Checkpoints of the points of a hyper-parameter search: who may put or take away which, and their names under `/cache` (`spec/api_v1.md` section 5).

use panda_access::{Object, Principal, Right, table};
use panda_core::id::TaskId;
use panda_store::query::task;

use crate::{Ops, OpsError, blob::is_safe_name};

/// What the names begin with.
const START: &str = "hpo_cp_";

/// The name under `/cache` of a point's checkpoint, when the caller may touch it: the owner of the task, its VO's production, pilots and Harvesters.
///
/// # Errors
/// Numbers that are none; no such task; the caller may not.
pub async fn name(ops: &Ops, who: &Principal, task_id: &str, sub_id: &str) -> Result<String, OpsError> {
    let digits = |text: &str| !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    let name = format!("{START}{task_id}_{sub_id}");
    let (true, Ok(id), true) = (digits(task_id), task_id.parse::<i64>(), is_safe_name(&name)) else {
        return Err(OpsError::refused("a checkpoint is called <task id>_<sub id>, of digits and plain characters"));
    };
    let missing = || OpsError::NotFound(format!("jediTaskID={id} not found"));
    let t = task::list::get(&ops.store, TaskId(id)).await?.ok_or_else(missing)?;
    let owner = ops.person_by_id(t.person_id).await?;
    let object = Some(Object::owned(Some(owner.key()), &t.vo));
    if let Err(denied) = table::allowed(Right::TaskRetry, Some(who), object)
        && table::allowed(Right::LogUpload, Some(who), object).is_err()
    {
        return Err(denied.into());
    }
    Ok(name)
}

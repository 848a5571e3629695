//! Share and priority of a task: at its submission, and anew when it is retried (`spec/engine.md` sections 5.7 and 20.1).

use panda_core::setting::{Values, task::PRIORITY};
use panda_store::query::task::TaskRow;
use panda_wire::TaskParameters;

use super::plan::{Adjust, Plan};
use crate::{Ops, OpsError, job::submit::USER_LABELS, share};

/// Priority of a user's task that states none (`spec/client.md` section 7.1).
const USER_PRIORITY: i64 = 1_000;

/// The priority that a task states, and the one that a user's may have: what its VO and label have, or less when it states less.
pub(super) fn priorities(settings: &Values, p: &TaskParameters, vo: &str, label: &str) -> (i64, i64) {
    let own = settings.opt_int(&PRIORITY, vo, label).unwrap_or(if USER_LABELS.contains(&label) { USER_PRIORITY } else { 0 });
    let stated = p.current_priority.or(p.task_priority).unwrap_or(own);
    (stated, stated.min(own))
}

/// Share and priority of a task as if it were submitted now, by who submitted it.
pub async fn anew(ops: &Ops, t: &TaskRow, p: &TaskParameters, plan: &Plan, adjust: &Adjust) -> Result<(String, i64), OpsError> {
    let types = ops.resource_types().await?;
    let owner = ops.person_by_id(t.person_id).await?;
    let share = share::of_task(ops, p, &t.vo, &t.label, types.of(plan.cores, plan.ram_mb), &owner.name).await?;
    let (_, own) = priorities(&*ops.settings().await?, p, &t.vo, &t.label);
    Ok((share, adjust.priority.unwrap_or(own)))
}

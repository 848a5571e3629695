//! What holds jobs back before a broker sees them: the throttle of a share, and caps of users, working groups and VOs (`spec/engine.md` sections 10,
//! 20.9 and 20.10).

pub mod cap;
pub mod shift;
pub mod show;
#[cfg(test)]
mod tests;
pub mod throttle;

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{job::state::JobState, policy::throttle::Has};
use panda_store::query::job::count;

use crate::{Ops, OpsError, live::Kept};

/// Something that holds a task or job back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Stage of the decision record.
    pub stage: &'static str,
    /// One sentence: the limit, and what frees it.
    pub reason: String,
    /// The record, a JSON object.
    pub doc: String,
}

/// How old the counts of working groups may be, microseconds: they join tasks and jobs.
const GROUPS_AGE_US: i64 = 10_000_000;

/// What each working group has, by VO and name.
pub type Groups = BTreeMap<(String, String), Has>;

/// The counts of working groups.
#[derive(Debug, Default)]
pub struct GroupCounts(Kept<Groups>);

/// What working groups have, at most ten seconds old.
pub async fn groups(ops: &Ops) -> Result<Arc<Groups>, OpsError> {
    ops.live.groups.0.get(ops.now().0, GROUPS_AGE_US, count_groups(ops)).await
}

async fn count_groups(ops: &Ops) -> Result<Groups, OpsError> {
    let mut groups = Groups::new();
    for l in count::working_groups(&ops.store).await? {
        let has = groups.entry((l.vo, l.group)).or_default();
        let cores = l.n * l.core_count.max(1);
        if JobState::WITH_PILOT.contains(&l.state) {
            (has.running, has.running_cores) = (has.running + l.n, has.running_cores + cores);
        } else {
            (has.queued, has.queued_cores) = (has.queued + l.n, has.queued_cores + cores);
        }
    }
    Ok(groups)
}

//! `harvester/add_target_slots`: how many slots a queue should have, for a share and a resource type. The targets of workers keep within it.

use panda_access::Principal;
use panda_core::{id::QueueId, policy::retention::DAY_US};
use panda_store::{
    Batch,
    query::harvester::{self as rows, ANY, SlotRow},
};

use super::commanded;
use crate::{Ops, OpsError, clock};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Target<'a> {
    /// The queue.
    pub queue: &'a str,
    /// How many; -1 takes the target out.
    pub slots: i64,
    /// For this share; none = any.
    pub share: Option<&'a str>,
    /// For this resource type; none = any.
    pub resource_type: Option<&'a str>,
    /// A number of days from now, or a time.
    pub expiration: Option<&'a str>,
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|t| !t.is_empty())
}

/// Sets or takes out a target; the answer is a sentence for people.
pub async fn set(ops: &Ops, who: &Principal, target: &Target<'_>) -> Result<String, OpsError> {
    let queue = commanded(ops, who, target.queue).await?;
    let (share, kind) = (given(target.share).unwrap_or(ANY), given(target.resource_type).unwrap_or(ANY));
    if kind != ANY && !ops.resource_types().await?.names().any(|n| n == kind) {
        return Err(OpsError::refused(format!("resource_type: `{kind}` is unknown; `metaconfig/get_resource_types` lists those that are")));
    }
    if share != ANY && !ops.shares().await?.tree.is_leaf(share) {
        return Err(OpsError::refused(format!("global_share: `{share}` is no leaf of the shares; `panda share list` shows them")));
    }
    let mut batch = Batch::new();
    if target.slots == -1 {
        rows::delete_slot(&mut batch, queue.id, share, kind);
        ops.store.apply(batch).await?;
        return Ok(format!("the target of queue {} is taken out", queue.name));
    }
    if target.slots < 0 {
        return Err(OpsError::refused(format!("slots must be at least 0, or -1 to take the target out, got {}", target.slots)));
    }
    let expires_us = given(target.expiration).map(|t| expiration(t, ops.now().0)).transpose()?;
    let row = SlotRow { queue_id: queue.id, share: share.to_owned(), resource_type: kind.to_owned(), n: target.slots, expires_us };
    rows::set_slot(&mut batch, &row, ops.now().0);
    ops.store.apply(batch).await?;
    let until = expires_us.map(|at| format!(" until {}", clock::text(at))).unwrap_or_default();
    Ok(format!("queue {} should have {} slots{until}", queue.name, target.slots))
}

/// Days from now, as upstream takes them, or a time.
fn expiration(text: &str, now_us: i64) -> Result<i64, OpsError> {
    let at = match text.parse::<i64>() {
        Ok(days) => now_us.saturating_add(days.saturating_mul(DAY_US)),
        Err(_) => clock::parse(text)
            .ok_or_else(|| OpsError::refused(format!("expiration_date: `{text}` is neither a number of days nor YYYY-MM-DD [HH:MM:SS]")))?,
    };
    if at <= now_us {
        return Err(OpsError::refused(format!("expiration_date: `{text}` is over already")));
    }
    Ok(at)
}

/// Targets of a queue that have not expired.
pub(crate) async fn of(ops: &Ops, queue: QueueId) -> Result<Vec<SlotRow>, OpsError> {
    let now = ops.now().0;
    let all = rows::slots(&ops.store).await?;
    Ok(all.into_iter().filter(|s| s.queue_id == queue && s.expires_us.is_none_or(|at| at > now)).collect())
}

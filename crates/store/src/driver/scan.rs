//! Scanning a lane page by page for limits that the lane does not express: the portable half of a claim.

use panda_core::id::LaneId;

use super::Claim;
use crate::{
    batch::Binds,
    error::Error,
    query::job::claim::{self as texts, SCAN_ROWS},
    stmt::Stmt,
    value::Row,
};

/// Key of a row in a lane: negated priority and id.
pub(super) type Key = (i64, i64);
/// Before every row.
pub(super) const START: Key = (i64::MIN, i64::MIN);

/// Whether the claim has limits beyond its lanes.
pub(super) fn limited(claim: &Claim) -> bool {
    claim.max_ram_mb.is_some() || claim.max_disk_mb.is_some() || claim.max_walltime_s.is_some() || claim.person_id.is_some()
}

/// The statement that reads the page of `lane` behind `key`.
pub(super) fn page(claim: &Claim, lane: LaneId, key: Key) -> (&'static Stmt, Binds) {
    let mut binds = vec![("lane", lane.into()), ("neg", key.0.into()), ("id", key.1.into())];
    if let Some(task) = claim.task_id {
        binds.push(("task", task.into()));
        return (&texts::SCAN_TASK, binds);
    }
    (&texts::SCAN, binds)
}

/// A page, filtered.
pub(super) struct Page {
    /// Jobs within the claim's limits, in order.
    pub(super) ids: Vec<i64>,
    /// Key of the last row looked at; None when the lane has no more rows.
    pub(super) next: Option<Key>,
}

/// Filters a page.
pub(super) fn read(claim: &Claim, rows: &[Row]) -> Result<Page, Error> {
    let mut ids = vec![];
    let within = |value: i64, limit: Option<i64>| limit.is_none_or(|l| value <= l);
    for r in rows {
        let fits = within(r.int(2)?, claim.max_ram_mb)
            && within(r.int(3)?, claim.max_disk_mb)
            && within(r.int(4)?, claim.max_walltime_s)
            && claim.person_id.is_none_or(|p| r.0.get(5) == Some(&crate::Value::Int(p)));
        if fits {
            ids.push(r.int(0)?);
        }
    }
    let next = match rows.last() {
        Some(last) if rows.len() >= SCAN_ROWS => Some((last.int(1)?, last.int(0)?)),
        _ => None,
    };
    Ok(Page { ids, next })
}

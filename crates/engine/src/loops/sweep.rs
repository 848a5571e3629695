//! Removes uploads, leftovers and live logs that nobody needs any more.

use panda_ops::{Ops, file::sweep::sweep};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    let swept = sweep(ops).await?;
    Ok(Report { done: swept.cached + swept.orphans + swept.logs, more: false })
}

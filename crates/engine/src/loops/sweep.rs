//! Removes what nobody needs any more: old archives, uploads, logs, records.

use panda_ops::{Ops, retention};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    let removed = retention::step(ops).await?;
    Ok(Report { done: removed.by.values().map(|(n, _)| n).sum(), more: removed.more })
}

//! Keeps what waits as it should be while what runs changes: caps, priorities by usage, jobs of tasks that got another share or priority.

use panda_ops::{Ops, job::priority, limit::shift, share::reassign};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    let done = shift::step(ops).await? + reassign::leftovers(ops).await? + priority::step(ops).await?;
    Ok(Report { done, more: false })
}

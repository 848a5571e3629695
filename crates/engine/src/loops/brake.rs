//! Holds queues and machines whose jobs fail, and releases them when a canary job ends well.

use panda_ops::{Ops, hold::brake};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    Ok(Report { done: brake::step(ops).await?, more: false })
}

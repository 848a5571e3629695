//! Asks instances of Harvester for workers, and has those ended that outlived their pilots.

use panda_ops::{Ops, harvester::ups};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    Ok(Report { done: ups::step(ops).await?, more: false })
}

//! Moves what ended some days ago into the archive (`spec/engine.md` section 2.3).

use panda_ops::{Ops, retention::shift};

use crate::{EngineError, Report};

/// One step.
pub(super) async fn step(ops: &Ops) -> Result<Report, EngineError> {
    let moved = shift::step(ops, shift::Budget::default()).await?;
    Ok(Report { done: moved.jobs + moved.tasks + moved.files, more: moved.more })
}

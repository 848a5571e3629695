//! Whether a task may get jobs now, and how many: throttles and caps stand here, before the broker.

use panda_core::time::Micros;
use panda_ops::Ops;
use panda_store::query::task::TaskRow;

use crate::{EngineError, plan::Refined};

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Jobs may be made.
    Go {
        /// At most so many now.
        at_most: usize,
    },
    /// None now: the task is put on hold.
    Hold {
        /// What held it, a stage of the decision records.
        stage: &'static str,
        /// One sentence: the limit, and what frees it.
        reason: String,
        /// The record, a JSON object.
        doc: String,
    },
}

/// Asks the gate. Nothing limits generation yet.
pub async fn gate(_ops: &Ops, _task: &TaskRow, _refined: &Refined, _now: Micros) -> Result<Gate, EngineError> {
    Ok(Gate::Go { at_most: usize::MAX })
}

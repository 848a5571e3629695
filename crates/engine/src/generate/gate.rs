//! Whether a task may get jobs now, and how many: throttles and caps stand here, before the broker.

use panda_ops::{
    Ops,
    limit::{
        Hold,
        cap::{self, Whose},
        throttle::{self, Answer},
    },
};
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

impl From<Hold> for Gate {
    fn from(Hold { stage, reason, doc }: Hold) -> Self {
        Self::Hold { stage, reason, doc }
    }
}

/// Asks the gate: caps of the user, the working group and the VO, then the throttle of the share. Merge jobs do not come here (`spec/engine.md`
/// section 10: they are always allowed).
pub async fn gate(ops: &Ops, task: &TaskRow, refined: &Refined) -> Result<Gate, EngineError> {
    let group = task.working_group.as_deref().unwrap_or_default();
    let whose = Whose { person: task.person_id, vo: &task.vo, group };
    if let Some(hold) = cap::ask(ops, &whose).await? {
        return Ok(hold.into());
    }
    let types = ops.resource_types().await?;
    Ok(match throttle::ask(ops, task, types.of(refined.plan.cores, refined.plan.ram_mb)).await? {
        Answer::Go(at_most) => Gate::Go { at_most: at_most.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX) },
        Answer::Hold(hold) => hold.into(),
    })
}

//! A task's parameters and the plan refined from them, recomputed when needed and cached: they cannot disagree with what was submitted.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::id::TaskId;
use panda_ops::{
    Ops,
    task::plan::{Adjust, Plan},
};
use panda_store::query::task::{self, TaskRow};
use panda_wire::TaskParameters;
use parking_lot::Mutex;

use crate::EngineError;

/// Most tasks kept in memory; the cache is emptied when it is full.
const MAX_CACHED: usize = 2_000;

/// Parameters and plan.
#[derive(Debug, Clone)]
pub struct Refined {
    /// As submitted.
    pub params: TaskParameters,
    /// What the engine changed since.
    pub adjust: Adjust,
    /// Refined from both.
    pub plan: Plan,
}

impl Refined {
    /// The same for files whose jobs need so much memory, MB in the task's unit; less than the task's changes nothing.
    #[must_use]
    pub fn with_memory(self: Arc<Self>, ram_mb: i64) -> Arc<Self> {
        if ram_mb <= self.plan.needs.ram.mb {
            return self;
        }
        let mut raised = Self::clone(&self);
        raised.plan.needs.ram.mb = ram_mb;
        raised.plan.ram_mb = raised.plan.needs.ram.of(raised.plan.cores);
        Arc::new(raised)
    }
}

/// By task, with the revision of the parameters that it was refined from.
#[derive(Debug, Default)]
struct Known(Mutex<BTreeMap<TaskId, (i64, Arc<Refined>)>>);

/// A task's parameters and plan.
pub async fn of(ops: &Ops, t: &TaskRow) -> Result<Arc<Refined>, EngineError> {
    let id = t.id;
    let known = ops.live.of::<Known>();
    if let Some((rev, found)) = known.0.lock().get(&id)
        && *rev == t.doc_rev
    {
        return Ok(found.clone());
    }
    let wrong = |e: String| EngineError::Internal(format!("parameters of task {id}: {e}"));
    let (text, adjust) = task::list::doc(&ops.store, id).await?.ok_or_else(|| wrong("missing".into()))?;
    let value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let params = TaskParameters::from_value(value).map_err(|e| wrong(e.to_string()))?;
    let adjust = Adjust::parse(adjust.as_deref()).map_err(|e| wrong(format!("changes by the engine: {e}")))?;
    let plan = Plan::of(&params, &adjust).map_err(|e| wrong(e.to_string()))?;
    let refined = Arc::new(Refined { params, adjust, plan });
    let mut held = known.0.lock();
    if held.len() >= MAX_CACHED {
        held.clear();
    }
    held.insert(id, (t.doc_rev, refined.clone()));
    Ok(refined)
}

/// Forgets a task that ended.
pub fn forget(ops: &Ops, id: TaskId) {
    ops.live.of::<Known>().0.lock().remove(&id);
}

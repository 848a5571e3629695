//! What the monitor is told beyond the operations.

use std::sync::Arc;

use panda_engine::Engine;
use panda_monitor::MonitorState;
use panda_ops::Ops;
use serde_json::{Value, json};

/// The state of the pages; with the loops' status where they run here.
pub(super) fn state(ops: &Arc<Ops>, engine: Option<&Arc<Engine>>) -> MonitorState {
    let status = engine.cloned().map(|engine| Arc::new(move || loops(&engine)) as Arc<dyn Fn() -> Value + Send + Sync>);
    MonitorState { ops: ops.clone(), engine_status: status, title: String::new() }
}

fn loops(engine: &Engine) -> Value {
    let one = |status: panda_engine::driver::LoopStatus| {
        json!({
            "loop": status.kind.name(), "last_us": status.last_us, "steps": status.steps, "done": status.done, "last_error": status.last_error,
        })
    };
    engine.status().into_iter().map(one).collect()
}

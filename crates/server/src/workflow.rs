//! Methods of `workflow`.

pub mod submit_workflow;
pub mod submit_workflow_raw_request;

use crate::answer::Refusal;
use serde_json::{Map, Value};

/// What whoever hands in a workflow reads.
pub const NOT_HERE: &str = "workflows are not run by this server; give their steps as nodes of a DAG (`panda run --dag FILE`, the task parameter `dag`), or as \
    tasks with `parent_tid`";

/// The object that a JSON text holds.
///
/// # Errors
/// The text is none.
pub fn object(name: &str, text: &str) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Refusal::new(format!("Failed to parse {name}: no JSON object"))),
        Err(error) => Err(Refusal::new(format!("Failed to parse {name}: {error}"))),
    }
}

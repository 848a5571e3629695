//! The record of a task: what is filtered or changes. Its parameters, rules and data sets stand elsewhere.
//!
//! It must not know column names or the texts that travel.

use super::state::TaskState;
use crate::id::TaskId;
use crate::time::Micros;

/// A task without its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `jediTaskID`.
    pub id: TaskId,
    /// `taskName`.
    pub name: String,
    /// State; changed only after `task::transition::check`.
    pub state: TaskState,
    /// The state to go back to from a hold (`oldStatus`).
    pub prev_state: Option<TaskState>,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Who issued the owner's identity; with the subject the key of the owner.
    pub owner_issuer: String,
    /// The owner's subject at the issuer.
    pub owner_subject: String,
    /// The owner's name as shown; never a key.
    pub owner_name: String,
    /// `workingGroup`.
    pub working_group: Option<String>,
    /// `processingType`.
    pub processing_type: String,
    /// `taskPriority`; its jobs inherit it.
    pub priority: i64,
    /// The task whose outputs it reads.
    pub parent_id: Option<TaskId>,
    /// Number of retries and incremental executions so far.
    pub attempt: i64,
    /// Why it is where it is (`errorDialog`).
    pub reason: Option<String>,
    /// The command under way, if any.
    pub command: Option<String>,
    /// When the row was made.
    pub created: Micros,
    /// When it was last changed.
    pub modified: Micros,
    /// When its first job started.
    pub started: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// When the state last changed.
    pub state_changed: Micros,
    /// Number of changes of this row; a write names the one it has read.
    pub rev: i64,
}

impl Task {
    /// A task with neutral values and revision 0.
    #[must_use]
    pub fn new(id: TaskId, name: impl Into<String>, state: TaskState, now: Micros) -> Self {
        Self {
            id,
            name: name.into(),
            state,
            prev_state: None,
            vo: String::new(),
            label: String::new(),
            owner_issuer: String::new(),
            owner_subject: String::new(),
            owner_name: String::new(),
            working_group: None,
            processing_type: String::new(),
            priority: 0,
            parent_id: None,
            attempt: 0,
            reason: None,
            command: None,
            created: now,
            modified: now,
            started: None,
            ended: None,
            state_changed: now,
            rev: 0,
        }
    }
}

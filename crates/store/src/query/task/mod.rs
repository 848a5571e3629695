//! Tasks.

pub mod dag;
pub mod dataset;
pub mod events;
pub mod file;
pub mod list;
pub mod moved;
pub mod page;
pub mod transition;

use panda_core::{id::TaskId, task::state::TaskState};

use super::code;
use crate::{Error, Row};

/// A row of `task`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Number (`jediTaskID`).
    pub id: TaskId,
    /// Name.
    pub name: String,
    /// State.
    pub state: TaskState,
    /// State to go back to from a hold.
    pub prev_state: Option<TaskState>,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Owner's row.
    pub person_id: i64,
    /// Working group.
    pub working_group: Option<String>,
    /// Processing type.
    pub processing_type: Option<String>,
    /// Priority.
    pub priority: i64,
    /// Parent task.
    pub parent_id: Option<TaskId>,
    /// How often it was retried.
    pub attempt: i64,
    /// Command being carried out.
    pub command: Option<String>,
    /// Why it waits or failed.
    pub reason: Option<String>,
    /// Microseconds UTC.
    pub created_us: i64,
    /// Microseconds UTC.
    pub modified_us: i64,
    /// Microseconds UTC.
    pub started_us: Option<i64>,
    /// Microseconds UTC.
    pub ended_us: Option<i64>,
    /// Microseconds UTC of the last change of state.
    pub state_us: i64,
    /// Global share of its jobs.
    pub share_name: Option<String>,
    /// Site of its outputs, when one was chosen.
    pub nucleus: Option<String>,
    /// Number of changes of its parameters.
    pub doc_rev: i64,
    /// How often it was throttled.
    pub n_throttled: i64,
    /// Microseconds UTC when a time-driven rule looked at it last.
    pub checked_us: Option<i64>,
    /// Microseconds UTC since when it is on hold without making progress.
    pub frozen_us: Option<i64>,
    /// Revision; each change adds one.
    pub rev: i64,
}

impl TaskRow {
    /// A task of this owner in its first state, without priority.
    #[must_use]
    pub fn new(id: TaskId, name: impl Into<String>, state: TaskState, vo: &str, label: &str, person_id: i64, now_us: i64) -> Self {
        Self {
            id,
            name: name.into(),
            state,
            prev_state: None,
            vo: vo.to_owned(),
            label: label.to_owned(),
            person_id,
            working_group: None,
            processing_type: None,
            priority: 0,
            parent_id: None,
            attempt: 0,
            command: None,
            reason: None,
            created_us: now_us,
            modified_us: now_us,
            started_us: None,
            ended_us: None,
            state_us: now_us,
            share_name: None,
            nucleus: None,
            doc_rev: 0,
            n_throttled: 0,
            checked_us: None,
            frozen_us: None,
            rev: 0,
        }
    }
}

/// The select list that [`read`] expects.
macro_rules! task_columns {
    () => {
        "t.id, t.name, t.state, t.prev_state, t.vo, t.label, t.person_id, t.working_group, t.processing_type, t.priority, t.parent_id, t.attempt, t.command, t.reason, t.created_us, t.modified_us, t.started_us, t.ended_us, t.state_us, t.share_name, t.nucleus, t.doc_rev, t.n_throttled, t.checked_us, t.frozen_us, t.rev"
    };
}
pub(crate) use task_columns;

pub(crate) fn read(r: &Row) -> Result<TaskRow, Error> {
    let state = |i| r.text(i).and_then(|t| code("task state", t, TaskState::parse(t).ok()));
    let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
    Ok(TaskRow {
        id: TaskId(r.int(0)?),
        name: r.text(1)?.to_owned(),
        state: state(2)?,
        prev_state: r.opt_text(3)?.map(|_| state(3)).transpose()?,
        vo: r.text(4)?.to_owned(),
        label: r.text(5)?.to_owned(),
        person_id: r.int(6)?,
        working_group: text(7)?,
        processing_type: text(8)?,
        priority: r.int(9)?,
        parent_id: r.opt_int(10)?.map(TaskId),
        attempt: r.int(11)?,
        command: text(12)?,
        reason: text(13)?,
        created_us: r.int(14)?,
        modified_us: r.int(15)?,
        started_us: r.opt_int(16)?,
        ended_us: r.opt_int(17)?,
        state_us: r.int(18)?,
        share_name: text(19)?,
        nucleus: text(20)?,
        doc_rev: r.int(21)?,
        n_throttled: r.int(22)?,
        checked_us: r.opt_int(23)?,
        frozen_us: r.opt_int(24)?,
        rev: r.int(25)?,
    })
}

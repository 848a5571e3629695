//! Methods of `event`.

pub mod acquire_event_ranges;
pub mod get_available_event_range_count;
pub mod get_event_range_statuses;
pub mod update_event_ranges;
pub mod update_single_event_range;

use panda_core::id::{JobId, TaskId};

use crate::args::Args;

/// The job that asks, and the task that it says it is of.
fn asker(args: &Args) -> (JobId, Option<TaskId>) {
    (JobId(args.id("job_id")), args.int("task_id").filter(|n| *n > 0).map(TaskId))
}

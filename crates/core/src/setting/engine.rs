//! Settings that several parts of the engine read.

use super::Setting;

/// How long a task on hold waits before it is looked at again.
pub const PENDING_RETRY_S: Setting = Setting::int(
    "task.pending_retry_s",
    60,
    "4.4, 20.9: waitForPending (upstream 60 min; here a change of queues or data wakes the task sooner, and looking again is cheap)",
    "how long a task on hold waits before it is looked at again, seconds",
);

/// All of this area.
pub const ALL: &[&Setting] = &[&PENDING_RETRY_S];

//! Settings of new tasks: what holds for a VO and label where the task itself says nothing.

use super::Setting;

/// Priority of a task that states none.
pub const PRIORITY: Setting = Setting::no_int(
    "task.priority",
    "5.2, 20.1 (upstream 1000 for users' tasks)",
    "priority of tasks that state none, and the most that one of a user may have; not given = 1000 for users' labels, 0 for others",
);
/// Attempts of each file.
pub const ATTEMPTS: Setting =
    Setting::int("task.attempts", 3, "5.3, 20.7: maxAttempt", "attempts of each input file of tasks that state none").within(1.0, 50.0);
/// Memory of a job.
pub const RAM_MB: Setting = Setting::int(
    "task.ram_mb_per_core",
    2_000,
    "5.2, 20.6: GenTaskRefiner ramCount",
    "memory for each core of jobs of tasks that state none, MB",
)
.within(1.0, 1e7);

/// All of this area.
pub const ALL: &[&Setting] = &[&PRIORITY, &ATTEMPTS, &RAM_MB];

//! Settings of brokerage (`spec/engine.md` sections 8, 20.3, 20.11).

use super::Setting;

/// Window of the failure filter.
pub const FAILURE_WINDOW_S: Setting = Setting::int(
    "broker.failure_window_s",
    6 * 3_600,
    "20.11: jedi / anal_jobbroker / TW_DONE_JOB_STAT",
    "how far back jobs that failed at a queue count against it, seconds; one value for all VOs and labels",
);

/// All of this area.
pub const ALL: &[&Setting] = &[&FAILURE_WINDOW_S];

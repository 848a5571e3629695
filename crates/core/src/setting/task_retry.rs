//! When a task is not retried any more but stops for a person to look at (`spec/engine.md` sections 4.3 and 20.9). None of them is given as shipped.

use super::Setting;

/// Retries of a task.
pub const ATTEMPTS: Setting = Setting::no_int(
    "task.retry_attempts",
    "4.3, 20.9: jedi / retry_task / TASK_MAX_ATTEMPT_<label>",
    "a task that was retried so often is not retried again but exhausted; not given = no limit",
);
/// Attempts of a file.
pub const JOB_ATTEMPTS: Setting = Setting::no_int(
    "task.retry_job_attempts",
    "4.3, 20.9: jedi / retry_task / JOB_MAX_ATTEMPT_<label>",
    "a task of which an input file was tried so often is not retried but exhausted; not given = no limit",
);
/// Failed jobs.
pub const FAILED_PERCENT: Setting = Setting::no_float(
    "task.retry_failed_percent",
    "4.3, 20.9: jedi / retry_task / MAX_JOB_FAILURE_RATE_<label> (upstream a part of 1)",
    "a task of whose ended jobs more than so many percent failed is not retried but exhausted; not given = no limit",
)
.within(0.0, 100.0);
/// What failed jobs used, of all.
pub const FAILED_SCORE_PERCENT: Setting = Setting::no_float(
    "task.retry_failed_score_percent",
    "4.3, 20.9: jedi / retry_task / MAX_FAILED_HEP_SCORE_RATE_<label> (upstream a part of 1)",
    "a task whose failed jobs used more than so many percent of its HEP-score time is not retried but exhausted; not given = no limit",
)
.within(0.0, 100.0);
/// What failed jobs used.
pub const FAILED_SCORE_HOURS: Setting = Setting::no_float(
    "task.retry_failed_score_hours",
    "4.3, 20.9: jedi / retry_task / MAX_FAILED_HEP_SCORE_HOURS_<label>",
    "a task whose failed jobs used more than so many HEP-score hours is not retried but exhausted; not given = no limit",
);
/// CPU efficiency.
pub const CPU_EFFICIENCY: Setting = Setting::no_float(
    "task.retry_cpu_efficiency",
    "4.3, 20.9: jedi / retry_task / MIN_CPU_EFFICIENCY_<label>",
    "a task whose jobs use less than so many percent of the CPU time of their cores (median) is not retried but exhausted; not given = no limit",
)
.within(0.0, 100.0);

/// All of this area.
pub const ALL: &[&Setting] = &[&ATTEMPTS, &JOB_ATTEMPTS, &FAILED_PERCENT, &FAILED_SCORE_PERCENT, &FAILED_SCORE_HOURS, &CPU_EFFICIENCY];

//! Time-driven rules of tasks (`spec/engine.md` sections 4.4, 5.9 and 20.9). 0 switches a rule off, where it does not say otherwise.

use super::Setting;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// How long a task on hold waits before it is looked at again, at first.
pub const PENDING_RETRY_S: Setting = Setting::int(
    "task.pending_retry_s",
    60,
    "4.4, 20.9: waitForPending (upstream 60 min always; here a minute at first, then a tenth of the time on hold, at most task.pending_retry_most_s)",
    "how long a task on hold waits before it is looked at again, seconds; at least 1",
);
/// The same, at most.
pub const PENDING_RETRY_MOST_S: Setting = Setting::int(
    "task.pending_retry_most_s",
    HOUR,
    "4.4, 20.9: waitForPending",
    "the longest time between two looks at a task on hold, seconds",
)
.within(1.0, 1e7);
/// When a task on hold is given up.
pub const PENDING_GIVE_UP_S: Setting = Setting::int(
    "task.pending_give_up_s",
    7 * DAY,
    "4.2, 20.9: timeoutForPending, PENDING_TIMEOUT_<label>",
    "a task that is on hold for so long without making a job is given up: exhausted when it has results, else aborted, seconds; 0 = never",
);
/// Rest of a throttled task.
pub const THROTTLED_S: Setting = Setting::int(
    "task.throttled_s",
    120 * 60,
    "4.4, 20.9: waitForThrottled",
    "a task that is throttled for the n-th time rests n squared times so long, seconds",
)
.within(1.0, 1e7);
/// Failed attempts that throttle a task.
pub const THROTTLE_STEP: Setting = Setting::int(
    "task.throttle_step",
    5,
    "4.4, 20.9: fixed upstream",
    "a running task is throttled each time that its unfinished input files have failed so many times more on average; 0 = never",
);
/// Exhausted tasks end.
pub const EXHAUSTED_S: Setting = Setting::int(
    "task.exhausted_s",
    48 * HOUR,
    "4.4, 20.9: waitForExhausted; DF (disableAutoFinish) exempts a task",
    "an exhausted task that nobody looks at for so long is finished with what it has, seconds; 0 = never",
);
/// How often running tasks are looked at.
pub const CHECK_S: Setting = Setting::int(
    "task.check_s",
    10 * 60,
    "5.9, 20.9: waitForAchieved (upstream 60 min)",
    "how often a running task is looked at for its goal, failures and the end being near, seconds",
)
.within(1.0, 1e7);
/// Commands that got lost.
pub const STUCK_S: Setting = Setting::int(
    "task.stuck_s",
    10 * 60,
    "4.4, 20.9: tasks of a dead process, 10 min",
    "a task in the middle of a command that nobody carries out gets the command again after so long, seconds; 0 = never",
);
/// Share of files from which on the end is near.
pub const BOOST_PERCENT: Setting = Setting::int(
    "task.boost_percent",
    95,
    "20.9: fixed upstream, one experiment's production; here every task below that priority",
    "a task of which so many percent of the files are done gets task.boost_priority; 0 = never",
)
.within(0.0, 100.0);
/// Jobs that may be left then.
pub const BOOST_JOBS: Setting = Setting::int("task.boost_jobs", 100, "20.9: fixed upstream", "and at most so many jobs are left");
/// The priority near the end.
pub const BOOST_PRIORITY: Setting =
    Setting::int("task.boost_priority", 900, "20.9: fixed upstream", "the priority of a task whose end is near, if it has a lower one");
/// Failure rate that pauses a task.
pub const PAUSE_FAILED_PERCENT: Setting = Setting::no_float(
    "task.pause_failed_percent",
    "20.9: MAX_JOB_FAILURE_RATE_TO_PAUSE_<label>",
    "a running task of whose ended jobs more than so many percent failed is paused for a person to look at",
)
.within(0.0, 100.0);
/// Ended jobs before that.
pub const PAUSE_MIN_JOBS: Setting = Setting::int(
    "task.pause_min_jobs",
    1_000,
    "20.9: MIN_JOBS_TO_PAUSE_<label>",
    "so many jobs of a task must have ended before its failure rate can pause it",
);
/// Jobs left before that.
pub const PAUSE_MIN_LEFT: Setting = Setting::int(
    "task.pause_min_left",
    100,
    "20.9: MIN_REMAINING_JOBS_TO_PAUSE_<label>",
    "so many of its input files must be left before its failure rate can pause it",
);

/// All of this area.
pub const ALL: &[&Setting] = &[
    &PENDING_RETRY_S,
    &PENDING_RETRY_MOST_S,
    &PENDING_GIVE_UP_S,
    &THROTTLED_S,
    &THROTTLE_STEP,
    &EXHAUSTED_S,
    &CHECK_S,
    &STUCK_S,
    &BOOST_PERCENT,
    &BOOST_JOBS,
    &BOOST_PRIORITY,
    &PAUSE_FAILED_PERCENT,
    &PAUSE_MIN_JOBS,
    &PAUSE_MIN_LEFT,
];

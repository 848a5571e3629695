//! When a queue, or one machine of it, is held because its jobs fail.

use super::Setting;

/// Whether queues and machines are held automatically.
pub const ON: Setting =
    Setting::flag("brake.on", true, "ours", "whether queues and machines whose jobs fail are held until a canary job succeeds").for_all();
/// Minutes that are looked at.
pub const WINDOW_MIN: Setting =
    Setting::int("brake.window_min", 60, "ours", "ended jobs of so many minutes are looked at").within(1.0, 10_080.0).for_all();
/// Least number of ended jobs of a queue.
pub const MIN_JOBS: Setting =
    Setting::int("brake.min_jobs", 20, "ours", "a queue is judged by no fewer ended jobs than this").within(1.0, 2_000.0).for_all();
/// Failure rate that holds a queue.
pub const RATE: Setting =
    Setting::float("brake.rate", 0.8, "ours", "part of the ended jobs of a queue that must have failed for it to be held")
        .within(0.01, 1.0)
        .for_all();
/// Failure rate of all that could have ended.
pub const EARLY_RATE: Setting = Setting::float(
    "brake.early_rate",
    0.2,
    "ours",
    "part of the jobs that ended, or started with the failed ones and run for longer than these took, that must have failed; failures come first, and where jobs take hours nothing else has ended yet",
)
.within(0.0, 1.0)
.for_all();
/// Least number of ended jobs of a machine.
pub const NODE_MIN_JOBS: Setting =
    Setting::int("brake.node_min_jobs", 6, "ours", "a machine is judged by no fewer ended jobs than this").within(1.0, 2_000.0).for_all();
/// Failure rate that holds a machine.
pub const NODE_RATE: Setting =
    Setting::float("brake.node_rate", 0.9, "ours", "part of the ended jobs of a machine that must have failed for it to be held")
        .within(0.01, 1.0)
        .for_all();
/// Least number of people whose payloads fail.
pub const MIN_PEOPLE: Setting = Setting::int(
    "brake.min_people",
    3,
    "ours",
    "failures of payloads count only when jobs of so many people fail, so that one user's broken code holds nothing",
)
.within(1.0, 1_000.0)
.for_all();
/// First wait for a canary.
pub const FIRST_WAIT_S: Setting =
    Setting::int("brake.first_wait_s", 600, "ours", "seconds until the first canary job; doubled each time it fails")
        .within(1.0, 86_400.0)
        .for_all();
/// Longest wait for a canary.
pub const MOST_WAIT_S: Setting =
    Setting::int("brake.most_wait_s", 21_600, "ours", "longest time between two canary jobs, seconds").within(1.0, 2_592_000.0).for_all();

/// All of this area.
pub const ALL: &[&Setting] =
    &[&ON, &WINDOW_MIN, &MIN_JOBS, &RATE, &EARLY_RATE, &NODE_MIN_JOBS, &NODE_RATE, &MIN_PEOPLE, &FIRST_WAIT_S, &MOST_WAIT_S];

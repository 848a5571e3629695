//! Settings of rebrokerage: jobs that wait too long at a queue choose another (`spec/engine.md` sections 13.1 and 20.3).

use super::Setting;

const HOUR: i64 = 3_600;

/// Congested queues: least number of waiting jobs.
pub const FAST_QUEUED: Setting = Setting::no_int(
    "rebroker.fast_queued",
    "20.3: pandaserver / rebroker / FAST_REBRO_THRESHOLD_NQUEUE_<share> (unset: dry run)",
    "a queue with more waiting jobs of a share than this, and than the two bounds of rebroker.fast_*, gives the oldest ones away; not given = never",
);
/// Congested queues: waiting jobs for each running one.
pub const FAST_RATIO: Setting = Setting::float(
    "rebroker.fast_ratio",
    3.0,
    "20.3: pandaserver / rebroker / FAST_REBRO_THRESHOLD_NQNR_RATIO",
    "waiting jobs of a share for each running one that a queue keeps; goes with rebroker.fast_queued",
);
/// Congested queues: part of the share's waiting jobs.
pub const FAST_FRACTION: Setting = Setting::float(
    "rebroker.fast_fraction",
    0.3,
    "20.3: pandaserver / rebroker / FAST_REBRO_THRESHOLD_NQUEUE_FRAC",
    "part of all waiting jobs of a share that a queue keeps; goes with rebroker.fast_queued",
)
.within(0.0, 1.0);
/// Analysis jobs that wait.
pub const IDLE_S: Setting = Setting::int(
    "rebroker.idle_s",
    12 * HOUR,
    "13.1, 20.3: pandaserver / rebroker / ANALY_TIMEOUT",
    "an analysis job that waits for so long at a queue where nothing of its task gets on chooses another queue, seconds; 0 = never",
);
/// The same at queues that are closed.
pub const CLOSED_S: Setting = Setting::int(
    "rebroker.closed_s",
    3 * HOUR,
    "13.1, 20.3: fixed upstream",
    "the same at a queue that is offline or a test queue, seconds; 0 = never",
);
/// What counts as getting on.
pub const PROGRESS_S: Setting = Setting::int(
    "rebroker.progress_s",
    3 * HOUR,
    "13.1, 20.3: recent-progress window, fixed upstream",
    "a task gets on at a queue when one of its jobs there started or ended within so many seconds",
);

/// All of this area.
pub const ALL: &[&Setting] = &[&FAST_QUEUED, &FAST_RATIO, &FAST_FRACTION, &IDLE_S, &CLOSED_S, &PROGRESS_S];

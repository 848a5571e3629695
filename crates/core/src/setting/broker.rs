//! Settings of brokerage (`spec/engine.md` sections 8, 13.1, 20.3, 20.11). What the neutral broker of 8.1 does not do is off until it is given.

use super::Setting;

/// Free space.
pub const MIN_SPACE_GB: Setting = Setting::int(
    "broker.min_space_gb",
    200,
    "8.1, 20.11: generic storage space (fixed upstream)",
    "least free space of a queue's storage, GB, where the storage publishes it",
);
/// Pilots seen.
pub const PILOT_WINDOW_S: Setting = Setting::no_int(
    "broker.pilot_window_s",
    "8.1 row 8, 20.11 (upstream 3 h; not given here: a new queue has had no pilot yet)",
    "a queue gets jobs only when a pilot asked within so many seconds, unless it has allow_no_pilot or the job is a test",
);
/// Slow queues.
pub const INACTIVE_S: Setting = Setting::int(
    "broker.inactive_s",
    2 * 3_600,
    "8.2 slow/inactive, 13.1 inactive queue",
    "a queue where jobs wait and none has started for so many seconds is left out while others are left; 0 = not looked at",
);
/// Cap per user.
pub const USER_CAP: Setting =
    Setting::no_int("broker.user_cap", "8.3 user caps", "most live jobs of a person at one queue, for new jobs to go there");
/// Cap per queue.
pub const QUEUE_CAP: Setting = Setting::no_int(
    "broker.queue_cap",
    "20.11: jedi / jobbroker / NQUEUELIMITSITE (upstream 20; not given here: a single queue would never be filled)",
    "most waiting jobs at one queue (or twice the running ones, if that is more), for new jobs to go there",
);
/// Cap per resource type.
pub const TYPE_CAP: Setting = Setting::no_int(
    "broker.type_cap",
    "20.11 cap per resource type, worker bootstrap (upstream 20); section 18: it really excludes",
    "most waiting jobs of one resource type at one queue (or broker.type_cap_ratio times the running ones, if that is more)",
);
/// Ratio of [`TYPE_CAP`].
pub const TYPE_CAP_RATIO: Setting =
    Setting::float("broker.type_cap_ratio", 2.0, "20.11 cap of queued/running per resource type", "goes with broker.type_cap");
/// Overload.
pub const OVERLOAD_RATIO: Setting = Setting::no_float(
    "broker.overload_ratio",
    "20.11: jedi / anal_jobbroker / OVERLOAD_RATIO_OFFSET (upstream 1.2)",
    "a queue is left out when it has more waiting jobs for each running one than so many times the ratio of all queues",
);
/// Least of [`OVERLOAD_RATIO`].
pub const OVERLOAD_MIN: Setting = Setting::int(
    "broker.overload_min",
    20,
    "20.11: jedi / anal_jobbroker / OVERLOAD_MIN_QUEUE",
    "waiting jobs up to which a queue is never overloaded",
);
/// Failures.
pub const FAILURE_MIN: Setting = Setting::int(
    "broker.failure_min",
    5,
    "20.11: jedi / anal_jobbroker / MIN_BAD_JOBS_TO_SKIP_PQ",
    "a queue where more of the owner's jobs failed lately than this, and than twice those that finished, is left out while others are left; 0 = not looked at",
);
/// Window of the failure filter.
pub const FAILURE_WINDOW_S: Setting = Setting::int(
    "broker.failure_window_s",
    6 * 3_600,
    "20.11: jedi / anal_jobbroker / TW_DONE_JOB_STAT",
    "how far back jobs that failed at a queue count against it, seconds",
)
.for_all();
/// Missing input.
pub const MISSING_FILES: Setting = Setting::int(
    "broker.missing_files",
    10,
    "20.11: jedi / jobbroker / MAX_MISSING_INPUT_FILES",
    "so many files of an input may lie at no usable storage",
);
/// Completeness of input.
pub const COMPLETENESS_PERCENT: Setting = Setting::int(
    "broker.completeness_percent",
    90,
    "20.11: jedi / jobbroker / MIN_INPUT_COMPLETENESS",
    "per cent of an input that must lie at a usable storage",
)
.within(0.0, 100.0);
/// Full ways.
pub const TRANSFER_CAP: Setting = Setting::int(
    "broker.transfer_cap",
    150,
    "20.11: jedi / jobbroker / NQUEUED_SAT_CAP",
    "files that may wait on a way between storages, for input to take it",
);
/// Dear ways.
pub const MAX_COST: Setting = Setting::no_int("broker.max_cost", "8.2 network quality", "dearest way between storages that input may take");
/// Jobs that read much.
pub const IO_CUTOFF_KB_S: Setting = Setting::int(
    "broker.io_cutoff_kb_s",
    200,
    "20.11: jedi / jobbroker / IO_INTENSITY_CUTOFF",
    "a job that reads and writes more kB/s goes where its input is",
);
/// Input moved for them.
pub const IO_MOVE_GB: Setting = Setting::int(
    "broker.io_move_gb",
    10,
    "20.11: jedi / jobbroker / SIZE_CUTOFF_TO_MOVE_INPUT",
    "input that may be moved for a job above broker.io_cutoff_kb_s, GB",
);
/// Files moved for them.
pub const IO_MOVE_FILES: Setting = Setting::int(
    "broker.io_move_files",
    100,
    "20.11: jedi / jobbroker / NUM_CUTOFF_TO_MOVE_INPUT",
    "files that may be moved for a job above broker.io_cutoff_kb_s",
);
/// Queues kept.
pub const QUEUES_KEPT: Setting = Setting::int(
    "broker.queues_kept",
    5,
    "8.1, 20.11: generic sites kept (fixed upstream)",
    "queues among which the jobs of a task are spread; those that it uses already are kept beside them",
)
.within(1.0, 10_000.0);
/// Least weight.
pub const MIN_WEIGHT: Setting =
    Setting::float("broker.min_weight", 0.0, "20.11: jedi / jobbroker / MIN_WEIGHT", "queues with less weight are left out");
/// Weight.
pub const WEIGHT: Setting = Setting::text(
    "broker.weight",
    "load=1",
    "8.1, 20.11: the generic weight; 8.2, 8.3 the others",
    "product of terms with exponents: load, production, locality, network, space, success",
)
.of(super::Form::Weight);
/// Labels of tests.
pub const TEST_LABELS: Setting = Setting::text(
    "broker.test_labels",
    "test,prod_test,ptest,rc_test,rc_test2,rc_alrb",
    "8.1 row 8, 16.1: labels of tests (fixed upstream)",
    "labels whose jobs go to test queues and need not wait for a pilot to be seen",
)
.for_all();
/// Exclusion after rebrokerage.
pub const MOVED_S: Setting = Setting::int(
    "broker.moved_s",
    24 * 3_600,
    "5.7, 13.1: jobs that are taken away from a queue choose another (our own bound)",
    "for so many seconds a queue that jobs of a task were taken away from is avoided by the task",
);

/// All of this area.
pub const ALL: &[&Setting] = &[
    &MIN_SPACE_GB,
    &PILOT_WINDOW_S,
    &INACTIVE_S,
    &USER_CAP,
    &QUEUE_CAP,
    &TYPE_CAP,
    &TYPE_CAP_RATIO,
    &OVERLOAD_RATIO,
    &OVERLOAD_MIN,
    &FAILURE_MIN,
    &FAILURE_WINDOW_S,
    &MISSING_FILES,
    &COMPLETENESS_PERCENT,
    &TRANSFER_CAP,
    &MAX_COST,
    &IO_CUTOFF_KB_S,
    &IO_MOVE_GB,
    &IO_MOVE_FILES,
    &QUEUES_KEPT,
    &MIN_WEIGHT,
    &WEIGHT,
    &TEST_LABELS,
    &MOVED_S,
];

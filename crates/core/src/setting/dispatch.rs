//! Settings of shares, priorities, dispatch, throttles, caps and resource types.

use super::Setting;

/// Share of tasks and jobs that no share matches.
pub const SHARE_DEFAULT: Setting = Setting::text(
    "share.default",
    "",
    "9.1 (upstream: Undefined)",
    "share of tasks and jobs that no share's rules match; empty = `Undefined`",
);
/// Shares that are served before all others.
pub const SHARE_FIRST: Setting =
    Setting::text("share.first", "Test", "9.2, 20.4", "leaf shares that are served before all others, by commas; empty = none").for_all();
/// Dispatch by age.
pub const AGE_PERCENT: Setting = Setting::int(
    "dispatch.age_percent",
    0,
    "9.2, 20.4: pandaserver / jobdispatch / SLOPPY_DISPATCH_RATIO (upstream 10, which gives 11)",
    "percent of dispatches that take the oldest job of a queue instead of the one that is due, exactly; 0 = none, since no share starves here",
)
.within(0.0, 100.0).for_all();
/// Memory of slots.
pub const MEMORY_PERCENT: Setting =
    Setting::int("dispatch.memory_percent", 90, "9.3, 20.4: MEMORY_COMPENSATION 0.9", "percent of a job's memory that a slot must have")
        .within(1.0, 100.0)
        .for_vos();
/// Class of a label.
pub const LABEL_CLASS: Setting = Setting::text(
    "label.class",
    "",
    "16.3",
    "class of a label, whose jobs are handed out together: `analysis`, `production`, `install` or another word; empty = the built-in one",
);
/// Resource types.
pub const RESOURCE_TYPES: Setting = Setting::text(
    "resource.types",
    "",
    "9.3, 20.4 (upstream: table resource_types)",
    "resource types as a JSON list of {name, min_cores, max_cores, above_mb, max_mb} (MB for each core); empty = SCORE, MCORE, SCORE_HIMEM, MCORE_HIMEM",
).for_all();
/// Queued for each running job.
pub const THRESHOLD: Setting =
    Setting::float("throttle.threshold", 2.0, "10, 20.10: THROTTLE_THRESHOLD", "queued jobs for each running one of a throttled share");
/// The same when work is short.
pub const THRESHOLD_SHORTAGE: Setting = Setting::no_float(
    "throttle.threshold_shortage",
    "10, 20.10: THROTTLE_THRESHOLD_FOR_WORK_SHORTAGE",
    "the same while `throttle.work_shortage` is on",
);
/// Whether work is short.
pub const WORK_SHORTAGE: Setting =
    Setting::flag("throttle.work_shortage", false, "10, 20.10: jedi / core / WORK_SHORTAGE", "whether slots are idle for want of jobs");
/// Limits of shares and resource types.
pub const LIMITS: Setting = Setting::text(
    "throttle.limits",
    "",
    "10, 20.10: NQUEUELIMIT_..., NRUNNINGCAP_..., NQUEUECAP_...",
    "limits of shares as a JSON object with upstream's keys: NQUEUELIMIT_share_TYPE, NQUEUELIMIT_share_MCORE*, NQUEUELIMIT_share; NRUNNINGCAP and NQUEUECAP likewise",
);
/// Active tasks of a user.
pub const ACTIVE_TASKS: Setting = Setting::no_int(
    "cap.active_tasks_per_user",
    "20.1: pandaserver / dbproxy / MAX_ACTIVE_TASKS_PER_USER_<label>",
    "most active tasks of a user with the label; not given = no cap for the label",
);
/// Running jobs of a user.
pub const USER_JOBS: Setting =
    Setting::no_int("cap.user_jobs", "20.9: prio_mgr / CAP_RUNNING_USER_JOBS", "most running jobs of a user; not given = no cap").for_vos();
/// Running cores of a user.
pub const USER_CORES: Setting =
    Setting::no_int("cap.user_cores", "20.9: prio_mgr / CAP_RUNNING_USER_CORES", "most running cores of a user; not given = no cap")
        .for_vos();
/// Running jobs of a working group.
pub const GROUP_JOBS: Setting = Setting::no_int(
    "cap.group_jobs",
    "20.9: prio_mgr / CAP_RUNNING_GROUP_JOBS",
    "most running jobs of a working group; not given = no cap",
)
.for_vos();
/// Running cores of a working group.
pub const GROUP_CORES: Setting = Setting::no_int(
    "cap.group_cores",
    "20.9: prio_mgr / CAP_RUNNING_GROUP_CORES",
    "most running cores of a working group; not given = no cap",
)
.for_vos();
/// Running jobs of a VO.
pub const VO_JOBS: Setting =
    Setting::no_int("cap.vo_jobs", "20.9 (here for a VO too)", "most running jobs of a VO; not given = no cap").for_vos();
/// Running cores of a VO.
pub const VO_CORES: Setting =
    Setting::no_int("cap.vo_cores", "20.9 (here for a VO too)", "most running cores of a VO; not given = no cap").for_vos();
/// Queued jobs for the cap.
pub const QUEUED_FACTOR: Setting = Setting::float("cap.queued_factor", 2.0, "20.9", "queued jobs or cores, in caps").for_vos();
/// When nothing more starts.
pub const HOLD_AT: Setting =
    Setting::float("cap.hold_at", 0.95, "20.9", "part of a cap from which on nothing more starts").within(0.0, 1.0).for_vos();
/// When jobs start again.
pub const RELEASE_AT: Setting =
    Setting::float("cap.release_at", 0.85, "20.9", "part of a cap below which jobs start again").within(0.0, 1.0).for_vos();
/// Extra priority of people and groups.
pub const BOOSTS: Setting = Setting::text(
    "priority.boosts",
    "",
    "3.4, 20.1: pandaserver / dbproxy / USER_JOB_PRIO_BOOST_DICTS",
    "extra priority as a JSON list of {name, type, prio, expire}; type is `user` or `group`, expire is YYYY-MM-DD and may be left away",
);
/// Whether what users have lowers their priority.
pub const REDUCED: Setting = Setting::flag(
    "priority.reduced",
    true,
    "3.4 (prio_reduction)",
    "whether jobs of users lose priority by what the user and the working group already have",
);
/// From which priority on a job keeps its own.
pub const JUMP_OVER: Setting = Setting::int(
    "priority.jump_over",
    1_500,
    "3.4, 5.4, 20.1: priorityTasksToJumpOver",
    "priority from which on users' jobs keep it and tasks are of the express group",
);
/// Part of the express group in generation.
pub const EXPRESS_PERCENT: Setting = Setting::int(
    "generate.express_percent",
    crate::policy::turn::EXPRESS_PERCENT,
    "5.4, 20.6: jedi / dbproxy / SUPER_HIGH_PRIO_TASK_RATIO",
    "percent of the turns of generation that tasks of the express group take while others wait",
)
.within(0.0, 100.0)
.for_all();

/// All of this area.
pub const ALL: &[&Setting] = &[
    &SHARE_DEFAULT,
    &SHARE_FIRST,
    &AGE_PERCENT,
    &MEMORY_PERCENT,
    &LABEL_CLASS,
    &RESOURCE_TYPES,
    &THRESHOLD,
    &THRESHOLD_SHORTAGE,
    &WORK_SHORTAGE,
    &LIMITS,
    &ACTIVE_TASKS,
    &USER_JOBS,
    &USER_CORES,
    &GROUP_JOBS,
    &GROUP_CORES,
    &VO_JOBS,
    &VO_CORES,
    &QUEUED_FACTOR,
    &HOLD_AT,
    &RELEASE_AT,
    &BOOSTS,
    &REDUCED,
    &JUMP_OVER,
    &EXPRESS_PERCENT,
];

//! How long a job may stay where it is (`spec/engine.md` sections 13.1 and 20.2). 0 switches a limit off.

use super::Setting;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A running job of which nothing was heard has lost its pilot.
pub const HEARTBEAT_S: Setting = Setting::int(
    "job.heartbeat_s",
    2 * HOUR,
    "13.1, 20.2: HEARTBEAT_TIMEOUT_analysis, HEARTBEAT_TIMEOUT_production; here by label",
    "a starting or running job of which nothing is heard for so long has lost its pilot, seconds; 0 = never",
);
/// The same by the kind of queue.
pub const HEARTBEAT_WORKFLOWS: Setting = Setting::text(
    "job.heartbeat_workflows",
    "",
    "13.1, 20.2: HEARTBEAT_TIMEOUT_<workflow>",
    "limits of job.heartbeat_s for queues with a `workflow`, such as `pull=7200,push=14400`; other labels than user and panda",
);
/// A job that was handed out must be heard of.
pub const SENT_S: Setting = Setting::int(
    "job.sent_s",
    30 * 60,
    "13.1, 20.2: fixed upstream",
    "a job that was handed to a pilot which never says so is lost after so long, seconds; 0 = never",
);
/// Outputs of users on their way.
pub const TRANSFERRING_S: Setting = Setting::int(
    "job.transferring_s",
    2 * HOUR,
    "13.1, 20.2: HEARTBEAT_TIMEOUT_analysis",
    "a user's job whose outputs are on their way without a sign for so long fails, seconds; 0 = never",
);
/// A pilot that holds its job: users, and high priorities.
pub const HOLDING_S: Setting = Setting::int(
    "job.holding_s",
    3 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a user's job, or one of priority above 800, that its pilot holds for so long without a report fails, seconds; 0 = never",
);
/// A pilot that holds its job: the others.
pub const HOLDING_REST_S: Setting = Setting::int(
    "job.holding_rest_s",
    48 * HOUR,
    "13.1, 20.2: TIMEOUT_holding",
    "any other job that its pilot holds for so long without a report fails, seconds; 0 = never",
);
/// Defined, not let go.
pub const DEFINED_S: Setting = Setting::int(
    "job.defined_s",
    4 * HOUR,
    "13.1, 20.2: TIMEOUT_defined",
    "a production job that is defined for so long goes back to its task; a build job, or one without a task, is closed, seconds; 0 = never",
);
/// Any state before activation, of production.
pub const BEFORE_ACTIVATION_S: Setting = Setting::int(
    "job.before_activation_s",
    12 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a production job that is not activated so long after it was made goes back to its task, seconds; 0 = never",
);
/// Defined or activated, since it was made.
pub const QUEUED_S: Setting = Setting::int(
    "job.queued_s",
    7 * DAY,
    "13.1, 20.2: fixed upstream",
    "a job that no pilot has taken so long after it was made is closed, seconds; 0 = never",
);
/// Activated, of production.
pub const ACTIVATED_S: Setting = Setting::int(
    "job.activated_s",
    2 * DAY,
    "13.1, 20.2: fixed upstream",
    "an activated production job that no pilot took for so long goes back to its task, unless its queue has disable_reassign, seconds; 0 = never",
);
/// Starting, of production.
pub const STARTING_S: Setting = Setting::int(
    "job.starting_s",
    48 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a production job that is starting for so long goes back to its task, seconds; 0 = never",
);
/// Users' and test jobs without any change.
pub const IDLE_S: Setting = Setting::int(
    "job.idle_s",
    7 * DAY,
    "13.1, 20.2: fixed upstream",
    "an activated or later job of a user, or a test job, of which nothing changes for so long is closed, seconds; 0 = never",
);
/// Made, not let go.
pub const PENDING_S: Setting = Setting::int(
    "job.pending_s",
    HOUR,
    "13.1, 20.2: fixed upstream",
    "a job that is made and not let go for so long is closed, unless it waits for a library, seconds; 0 = never",
);
/// Inputs not ready.
pub const WAITING_S: Setting = Setting::int(
    "job.waiting_s",
    HOUR,
    "13.1, 20.2: fixed upstream",
    "a job that waits for its inputs for so long is closed, unless it waits for a library, seconds; 0 = never",
);
/// Age of jobs taken away from a dead queue.
pub const INACTIVE_QUEUE_S: Setting = Setting::int(
    "job.inactive_queue_s",
    4 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a production job of priority 800 or more that waits for so long at a queue which starts nothing goes back to its task, seconds; 0 = never",
);
/// What a dead queue is.
pub const QUEUE_IDLE_S: Setting = Setting::int(
    "job.queue_idle_s",
    2 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a queue that started no job for so long counts as one that starts nothing, seconds",
);
/// Since it was made, whatever it does.
pub const TOTAL_S: Setting = Setting::int(
    "job.total_s",
    21 * DAY,
    "13.1, 20.2: fixed upstream",
    "a job that is activated or later and was made so long ago ends, seconds; 0 = never",
);
/// Throttled.
pub const THROTTLED_S: Setting = Setting::int(
    "job.throttled_s",
    7 * DAY,
    "13.1, 20.2: fixed upstream",
    "a job of a paused task is closed after so long, seconds; 0 = never",
);
/// A merge job without anything to merge.
pub const MERGE_CHECK_S: Setting = Setting::int(
    "job.merge_check_s",
    30 * 60,
    "13.1, 20.2: fixed upstream",
    "a merge job whose pre-merge jobs are gone ends after so long, seconds; 0 = never",
);
/// Jobs that take events or merge them.
pub const EVENTS_S: Setting = Setting::int(
    "job.events_s",
    24 * HOUR,
    "13.1, 20.2: fixed upstream",
    "a job that takes event ranges (of priority 900 and more), or merges them, runs at most so long, seconds; others go on; 0 = no limit",
);

/// All of this area.
pub const ALL: &[&Setting] = &[
    &HEARTBEAT_S,
    &HEARTBEAT_WORKFLOWS,
    &SENT_S,
    &TRANSFERRING_S,
    &HOLDING_S,
    &HOLDING_REST_S,
    &DEFINED_S,
    &BEFORE_ACTIVATION_S,
    &QUEUED_S,
    &ACTIVATED_S,
    &STARTING_S,
    &IDLE_S,
    &PENDING_S,
    &WAITING_S,
    &INACTIVE_QUEUE_S,
    &QUEUE_IDLE_S,
    &TOTAL_S,
    &THROTTLED_S,
    &MERGE_CHECK_S,
    &EVENTS_S,
];

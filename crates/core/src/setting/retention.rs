//! How long what has ended is kept.

use super::Setting;

/// Days after its end when a task's jobs, or a job without a task, go into the archive.
pub const ARCHIVE_AFTER_DAYS: Setting = Setting::int(
    "archive.after_days",
    4,
    "2.3, 20.13: jobsArchived4 kept 3-4 d",
    "days after the end of a task, or of a job without a task, until its jobs go into the archive; 0 = at once",
);
/// Days after its end in which an ended task can be taken up again.
pub const ARCHIVE_RETRY_DAYS: Setting = Setting::int(
    "archive.retry_days",
    30,
    "2.3; 13.1: sandbox deletion 30 d (a task is not retried without its sandbox)",
    "days after its end in which a task can be retried: its inputs stay at hand and its sandbox is kept",
)
.within(1.0, 36_500.0);
/// Days after their end when archived tasks and jobs are removed.
pub const ARCHIVE_KEEP_DAYS: Setting = Setting::int(
    "archive.keep_days",
    0,
    "2.1.1: the archive is kept forever",
    "days after their end until archived tasks and jobs are removed; 0 = never",
);
/// Days after the end when the history of an archived job is removed.
pub const HISTORY_DAYS: Setting = Setting::int(
    "retention.history_days",
    90,
    "2.3, 20.13: status logs 90 d",
    "days after its end until an archived job's history is removed; 0 = never",
);
/// Days without use after which a sandbox is removed.
pub const SANDBOX_DAYS: Setting = Setting::int(
    "retention.sandbox_days",
    30,
    "13.1: sandbox deletion 30 d",
    "days without use until a sandbox is removed, unless a task that can run or be retried names it; 0 = never",
)
.for_vos();
/// Days without use after which another uploaded file is removed.
pub const CACHE_DAYS: Setting = Setting::int(
    "retention.cache_days",
    7,
    "13.1: cache files > 7 d deleted",
    "days without use until an uploaded file that is no sandbox is removed; 0 = never",
)
.for_vos();
/// Days after the last byte when a live log is removed.
pub const LOG_DAYS: Setting = Setting::int(
    "retention.log_days",
    14,
    "13.1 (upstream keeps logs as data sets only); the log archive of a job is an output and stays",
    "days after the last byte until a live or debug log is removed; 0 = never",
);
/// Days after the end of its task when a pre-merge file is removed.
pub const TEMPORARY_DAYS: Setting = Setting::int(
    "retention.temporary_days",
    7,
    "12.2, 13.3 datasetManager: sub data sets are deleted when done",
    "days after the end of its task until a pre-merge file that was merged is removed from the storage; 0 = never",
);
/// Days after the end of its task when an output data set is removed.
pub const DATASET_DAYS: Setting = Setting::int(
    "retention.dataset_days",
    0,
    "2.3, 20.13: data sets 12 months",
    "days after the end of a task in the archive until what it has put into its output data sets is removed, from the storage, the catalogue and the data management plug-in; 0 = never",
);
/// Days when a decision record of something that ended is removed.
pub const DECISION_DAYS: Setting = Setting::int(
    "retention.decision_days",
    90,
    "20.13: status logs 90 d",
    "days until the decision records of what has ended are removed; 0 = never",
);
/// Days when a worker that ended is removed.
pub const WORKER_DAYS: Setting = Setting::int(
    "retention.worker_days",
    30,
    "2.3: workers in monthly partitions",
    "days until the record of a worker that ended is removed; 0 = never",
)
.for_all();
/// Days when a machine that no worker spoke of is forgotten.
pub const NODE_DAYS: Setting = Setting::int(
    "retention.node_days",
    90,
    "ours",
    "days until the description of a machine that no worker spoke of is removed; 0 = never",
)
.for_all();
/// Days when a record of a Harvester is removed.
pub const HARVESTER_DAYS: Setting = Setting::int(
    "retention.harvester_days",
    30,
    "2.5: worker metrics daily; the rest is ours",
    "days until messages and measurements of Harvesters, and commands to them, are removed; 0 = never",
)
.for_all();
/// Days when a line of the journal is removed.
pub const JOURNAL_DAYS: Setting =
    Setting::int("retention.journal_days", 365, "ours", "days until a line of the journal (holds, drains, removals) is removed; 0 = never")
        .for_all();

/// All of this area.
pub const ALL: &[&Setting] = &[
    &ARCHIVE_AFTER_DAYS,
    &ARCHIVE_RETRY_DAYS,
    &ARCHIVE_KEEP_DAYS,
    &HISTORY_DAYS,
    &SANDBOX_DAYS,
    &CACHE_DAYS,
    &LOG_DAYS,
    &TEMPORARY_DAYS,
    &DATASET_DAYS,
    &DECISION_DAYS,
    &WORKER_DAYS,
    &NODE_DAYS,
    &HARVESTER_DAYS,
    &JOURNAL_DAYS,
];

//! Which plug-ins stand in place of the neutral built-ins.

use super::Setting;

/// Who keeps the data.
pub const DATA: Setting = Setting::text(
    "plugin.data",
    "",
    "12.4: the data set client of a VO; ours",
    "data management plug-in that is asked for data sets which the catalogue does not have, and told of outputs; empty = the catalogue alone",
);
/// How soon what is here in whole is asked of again.
pub const RECHECK_S: Setting = Setting::int(
    "plugin.recheck_s",
    86_400,
    "ours: files that their keeper has removed leave the catalogue within a day",
    "a task that begins to read a closed data set of a data management plug-in has the plug-in asked again what is in it, when that was so long ago, seconds; 0 = never",
);
/// Where input is brought before it is read.
pub const STAGE_TO: Setting = Setting::text(
    "plugin.stage_to",
    "",
    "5.8: input is brought to where a task runs before it begins; ours",
    "storage endpoint to which the data management plug-in is asked to bring a data set before its files are listed; empty = it is read where it is",
);
/// Who chooses among the queues that fit.
pub const BROKERAGE: Setting = Setting::text(
    "plugin.brokerage",
    "",
    "8: brokers by VO and label; ours",
    "brokerage plug-in that rules out and weighs the queues which fit the jobs of a task; empty = the neutral broker alone",
);
/// Who says whether failed work is tried again.
pub const RETRY: Setting = Setting::text(
    "plugin.retry",
    "",
    "11: the retry module; ours",
    "retry plug-in that says whether what a failed job of a task was to do is tried again; empty = the retry rules alone",
);
/// Who names outputs.
pub const NAMING: Setting = Setting::text(
    "plugin.naming",
    "",
    "3.4: names of outputs; ours",
    "naming plug-in that names the output files of jobs; empty = the templates of the task alone",
);
/// Who is told of changes of tasks.
pub const NOTIFY: Setting = Setting::text(
    "plugin.notify",
    "",
    "5.6: mail of the post processor; ours",
    "notification plug-in that is told of changes of tasks, besides mail and webhook; empty = none",
);
/// Which changes it is told.
pub const NOTIFY_STATES: Setting = Setting::text(
    "plugin.notify_states",
    "done,finished,failed,exhausted,aborted,broken",
    "ours",
    "states of a task that the notification plug-in is told when it comes to them, comma separated; `all` = every change",
);
/// How soon it is asked again.
pub const RETRY_S: Setting = Setting::int(
    "plugin.retry_s",
    15,
    "ours: a plug-in that works again is used within a quarter of a minute",
    "how long what a plug-in holds up waits until the plug-in is asked again, seconds",
)
.within(1.0, 1e6);
/// Longest pause.
pub const RETRY_MOST_S: Setting = Setting::int(
    "plugin.retry_most_s",
    300,
    "ours",
    "longest pause between two attempts to tell a plug-in of outputs, seconds; the pause begins with plugin.retry_s and doubles; it is never given up",
)
.within(1.0, 1e6);

/// All of this area.
pub const ALL: &[&Setting] = &[&DATA, &RECHECK_S, &STAGE_TO, &BROKERAGE, &RETRY, &NAMING, &NOTIFY, &NOTIFY_STATES, &RETRY_S, &RETRY_MOST_S];

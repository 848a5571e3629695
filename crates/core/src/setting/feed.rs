//! Settings of feeding and generation.

use super::Setting;

/// How often an input that may grow is listed again.
pub const CHECK_S: Setting = Setting::int(
    "feed.check_s",
    300,
    "5.3, 20.6: [confeeder] checkInterval (5 min; a change of the data set wakes the task at once)",
    "how often an input that may grow, or is waited for, is looked at again, seconds",
)
.within(1.0, 1e6);

/// Most rows of one input.
pub const MAX_ROWS: Setting = Setting::int(
    "feed.max_rows",
    5_000_000,
    "5.3 \"Limits\" (upstream: an error with a hint)",
    "most files, or parts of files, of one input of a task",
)
.within(1.0, 1e9);

/// Most names held in memory while an input is listed.
pub const MAX_NAMES: Setting = Setting::int(
    "feed.max_names",
    2_000_000,
    "ours: what needs all names at once (an order other than by name, several data sets, listing again, skipFilesUsedBy) holds 40 bytes for each",
    "most files of an input that is ordered, has several data sets, is listed again, or leaves out files used by other tasks",
)
.within(1.0, 1e8);

/// Jobs made for one queue before the next is drawn.
pub const JOBS_A_DRAW: Setting = Setting::int(
    "generate.jobs_a_draw",
    25,
    "6.1, 20.6: sub-chunks per site draw (a queue's job_chunk_size goes before it)",
    "jobs made for one queue before the next queue is drawn",
)
.within(1.0, 1e6);

/// Days in which a library is used again by other tasks.
pub const LIBRARY_DAYS: Setting = Setting::int(
    "generate.library_days",
    7,
    "5.5, 6.3, 20.6: lib.tgz re-use",
    "days in which the library of one task is used again by others with the same archive; 0 = never",
);

/// All of this area.
pub const ALL: &[&Setting] = &[&CHECK_S, &MAX_ROWS, &MAX_NAMES, &JOBS_A_DRAW, &LIBRARY_DAYS];

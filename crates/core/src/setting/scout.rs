//! Settings of scouts: the first jobs of a task, what is measured of them, and when a task stops because of it (`spec/engine.md` sections 7 and 20.8).

use super::Setting;

const HOUR: i64 = 3_600;

/// Scout jobs of a task.
pub const JOBS: Setting = Setting::int(
    "scout.jobs",
    10,
    "5.3, 20.7: chunks for scouts (fixed upstream)",
    "jobs that a task makes first and measures before the rest; 0 = no task has scouts",
)
.within(0.0, 1_000.0);
/// Jobs for one queue before the next is drawn.
pub const JOBS_A_DRAW: Setting = Setting::int(
    "scout.jobs_a_draw",
    2,
    "5.5, 6.1, 20.6: sub-chunks per site draw of scouts (fixed upstream)",
    "scout jobs made for one queue before the next queue is drawn (a queue's job_chunk_size goes before it)",
)
.within(1.0, 1_000.0);
/// Early release.
pub const EARLY_PERCENT: Setting = Setting::int(
    "scout.early_percent",
    50,
    "4.2, 20.8: early avalanche, 5/10 (fixed upstream)",
    "the rest of a task is made when so many percent of its scouts' files are finished; 100 = all scouts are waited for",
)
.within(1.0, 100.0);
/// Jobs that are measured.
pub const SAMPLE_JOBS: Setting = Setting::int(
    "scout.sample_jobs",
    1_000,
    "7.1, 20.8: jobs sampled (fixed upstream; there at random, here the newest)",
    "jobs that requirements are computed from, the newest",
)
.within(1.0, 1_000.0);
/// First measurement of a task that runs.
pub const FIRST_MARK: Setting = Setting::int(
    "scout.first_mark",
    5,
    "3.6, 7.1: measured again at 5 finished jobs (fixed upstream)",
    "finished files at which a running task that nothing was measured of is measured; 0 = never",
);
/// Second measurement of a task that runs.
pub const SECOND_MARK: Setting = Setting::int(
    "scout.second_mark",
    100,
    "3.6, 7.1: measured again at 100 finished jobs (fixed upstream)",
    "finished files at which a running task is measured again; 0 = never",
);
/// CPU time.
pub const CPU_PERCENTILE: Setting = Setting::int(
    "scout.cpu_percentile",
    95,
    "7.1, 20.8: jedi / dbproxy / SCOUT_CPUTIME_RANK",
    "which of the scouts' CPU times for an event counts, percentile",
)
.within(1.0, 100.0);
/// Margin of the CPU time.
pub const CPU_FACTOR: Setting =
    Setting::float("scout.cpu_factor", 1.5, "7.1, 20.8: safety factor (fixed upstream)", "factor on the measured CPU time for an event")
        .within(1.0, 100.0);
/// Events that tell the CPU time.
pub const CPU_EVENTS: Setting = Setting::int(
    "scout.cpu_events",
    10,
    "7.1, 20.8: 10 x cores (fixed upstream)",
    "events for each core that a job must have had to tell the CPU time of one",
)
.within(1.0, 1e6);
/// Fewer events that tell it all the same.
pub const CPU_LONG_S: Setting = Setting::int(
    "scout.cpu_long_s",
    6 * HOUR,
    "7.1: \"few events but long\"; the number is ours",
    "a job with fewer events tells the CPU time of one all the same when it ran for so long, seconds",
);
/// Memory.
pub const RAM_PERCENTILE: Setting = Setting::int(
    "scout.ram_percentile",
    75,
    "7.1, 20.8: jedi / dbproxy / SCOUT_RAMCOUNT_RANK",
    "which of the scouts' memories counts, percentile",
)
.within(1.0, 100.0);
/// Margin of the memory.
pub const RAM_MARGIN_PERCENT: Setting = Setting::int(
    "scout.ram_margin_percent",
    10,
    "7.1, 20.8: jedi / dbproxy / SCOUT_RAMCOUNT_MARGIN",
    "added to the measured memory, percent of it",
)
.within(0.0, 1_000.0);
/// Least memory.
pub const RAM_MIN_MB: Setting = Setting::no_int(
    "scout.ram_min_mb",
    "7.1, 20.8: jedi / dbproxy / SCOUT_RAMCOUNT_MIN",
    "the measured memory counts as no less than this, MB in the task's unit (for each core or for the job); not given = no least",
);
/// Output.
pub const OUT_PERCENTILE: Setting = Setting::int(
    "scout.out_percentile",
    75,
    "7.1, 20.8: fixed upstream",
    "which of the scouts' output sizes for an event or a megabyte of input counts, percentile",
)
.within(1.0, 100.0);
/// Most output.
pub const OUT_CAP_KB: Setting = Setting::int(
    "scout.out_cap_kb",
    10_000,
    "7.1, 20.8: 10 MB for an MB of input (fixed upstream)",
    "most output for a megabyte of input, kB",
)
.within(1.0, 1e9);
/// Events that tell the output.
pub const OUT_EVENTS: Setting = Setting::int(
    "scout.out_events",
    10,
    "7.1, 20.8: fixed upstream",
    "events that a job must have had to tell the output for an event or a megabyte",
)
.within(1.0, 1e6);
/// Margin of the wall time.
pub const WALLTIME_FACTOR: Setting =
    Setting::float("scout.walltime_factor", 1.5, "7.1, 20.8: fixed upstream", "factor on the measured time for a megabyte of input")
        .within(1.0, 100.0);
/// Jobs that tell the wall time.
pub const WALLTIME_FLOOR_S: Setting = Setting::int(
    "scout.walltime_floor_s",
    HOUR,
    "7.1, 20.8: below 1 h counts as 0 (fixed upstream)",
    "scouts that use less CPU time than this tell nothing of the wall time, seconds",
);
/// Most disk traffic.
pub const DISK_IO_CAP_KB_S: Setting = Setting::no_int(
    "scout.disk_io_cap_kb_s",
    "7.1, 20.8: jedi / dbproxy / SCOUT_DISK_IO_CAP",
    "the measured traffic with the local disk counts as no more than this, kB a second; not given = no cap",
);
/// Small tasks are never stopped.
pub const EXHAUST_ABOVE_JOBS: Setting = Setting::int(
    "scout.exhaust_above_jobs",
    20,
    "7.2, 20.8: exhaust checks only if new jobs > 20 (fixed upstream)",
    "a task of at most so many expected jobs is not stopped for what its scouts show",
);
/// CPU time beyond what was asked for.
pub const CPU_RATIO: Setting = Setting::float(
    "scout.cpu_ratio",
    2.0,
    "7.2, 20.8: jedi / dbproxy / SCOUT_WRONG_CPUTIME_THRESHOLD",
    "a task whose scouts need more than so many times the CPU time it asked for is exhausted",
)
.within(1.0, 1e6);
/// Only of long jobs.
pub const CPU_EXEC_S: Setting = Setting::int(
    "scout.cpu_exec_s",
    24 * HOUR,
    "7.2, 20.8: minimum execution time (fixed upstream)",
    "that counts only when a scout ran longer than this, seconds",
);
/// Memory beyond what was asked for.
pub const RAM_MB: Setting = Setting::int(
    "scout.ram_mb",
    4_000,
    "7.2, 20.8: jedi / dbproxy / RAM_THR_EXAUSTED (4, times 1000 MB)",
    "a task that asked for less memory a core than this and whose scouts need more is exhausted, MB",
)
.within(1.0, 1e9);
/// Memory that leaks.
pub const LEAK_PER_CORE: Setting = Setting::no_float(
    "scout.leak_per_core",
    "7.2, 20.8: jedi / dbproxy / SCOUT_MEM_LEAK_PER_CORE_<label> (upstream only says so)",
    "a task whose scouts leak more than this a core (mean, in the unit in which pilots report `leak`) is exhausted; not given = never",
);
/// Short jobs, part of the scouts.
pub const SHORT_PERCENT: Setting = Setting::no_float(
    "scout.short_percent",
    "7.2, 20.8: jedi / dbproxy / SCOUT_NUM_SHORT_<label> (upstream tenths)",
    "a task of whose scouts so many percent are shorter than scout.short_s, and that will have scout.short_jobs jobs, is exhausted; not given = never",
)
.within(0.0, 100.0);
/// Short jobs, size of the task.
pub const SHORT_JOBS: Setting = Setting::no_int(
    "scout.short_jobs",
    "7.2, 20.8: jedi / dbproxy / SCOUT_THR_SHORT_<label>",
    "expected jobs from which on a task of short jobs is exhausted; not given = never",
);
/// What is short.
pub const SHORT_S: Setting = Setting::int(
    "scout.short_s",
    0,
    "20.8: jedi / dbproxy / SCOUT_SHORT_EXECTIME_<label> (upstream minutes)",
    "a scout that ran for less than this is short, seconds; 0 = none is",
);
/// Longer jobs instead of no jobs.
pub const CHANGE_RULES: Setting = Setting::flag(
    "scout.change_rules",
    false,
    "7.2, 20.8: jedi / dbproxy / SCOUT_CHANGE_SR_<label>",
    "a task of short jobs gets longer ones (nFilesPerJob and nGBPerJob are dropped, at most 200 files a job) before it is exhausted",
);
/// Idle cores, part of the scouts.
pub const INEFFICIENT_PERCENT: Setting = Setting::no_float(
    "scout.inefficient_percent",
    "7.2, 20.8: jedi / dbproxy / SCOUT_NUM_CPU_INEFFICIENT_<label> (upstream tenths)",
    "a task of whose scouts so many percent use less CPU than scout.low_efficiency_percent, and that will have more than scout.inefficient_jobs jobs, is exhausted; not given = never",
)
.within(0.0, 100.0);
/// Idle cores, size of the task.
pub const INEFFICIENT_JOBS: Setting = Setting::no_int(
    "scout.inefficient_jobs",
    "7.2, 20.8: jedi / dbproxy / SCOUT_THR_CPU_INEFFICIENT_<label>",
    "expected jobs above which a task of inefficient jobs is exhausted; not given = never",
);
/// What is inefficient.
pub const LOW_EFFICIENCY_PERCENT: Setting = Setting::float(
    "scout.low_efficiency_percent",
    0.0,
    "20.8: jedi / dbproxy / SCOUT_LOW_CPU_EFFICIENCY_<label>",
    "a scout that used less of the CPU time of its cores than so many percent is inefficient; 0 = none is",
)
.within(0.0, 100.0);
/// Jobs that wait for their data.
pub const IO_WAIVER_KB_S: Setting = Setting::no_int(
    "scout.io_waiver_kb_s",
    "7.2, 20.8: jedi / dbproxy / SCOUT_MAX_IO_INTENSITY_FOR_EXHAUSTED_<label>",
    "a task whose scouts move more data than this may be inefficient, kB a second and core; not given = no task may",
);
/// More cores than asked for.
pub const OVER_CPU_FACTOR: Setting = Setting::float(
    "scout.over_cpu_factor",
    2.0,
    "7.2, 20.8: 2 x wall x cores (fixed upstream)",
    "a task with a scout that uses more than so many times the CPU time of its cores is exhausted",
)
.within(1.0, 1e6);
/// Failed scouts that a person looks at.
pub const MIN_OK_PERCENT: Setting = Setting::no_float(
    "scout.min_ok_percent",
    "7.2, 20.8: jedi / dbproxy / SCOUT_MIN_OK_RATE_EXHAUSTED_<label> (upstream tenths; counts when below SS)",
    "a task of whose scouts at least so many percent end well, but fewer than it wants, is exhausted instead of broken; not given = it is broken",
)
.within(0.0, 100.0);

/// All of this area.
pub const ALL: &[&Setting] = &[
    &JOBS,
    &JOBS_A_DRAW,
    &EARLY_PERCENT,
    &SAMPLE_JOBS,
    &FIRST_MARK,
    &SECOND_MARK,
    &CPU_PERCENTILE,
    &CPU_FACTOR,
    &CPU_EVENTS,
    &CPU_LONG_S,
    &RAM_PERCENTILE,
    &RAM_MARGIN_PERCENT,
    &RAM_MIN_MB,
    &OUT_PERCENTILE,
    &OUT_CAP_KB,
    &OUT_EVENTS,
    &WALLTIME_FACTOR,
    &WALLTIME_FLOOR_S,
    &DISK_IO_CAP_KB_S,
    &EXHAUST_ABOVE_JOBS,
    &CPU_RATIO,
    &CPU_EXEC_S,
    &RAM_MB,
    &LEAK_PER_CORE,
    &SHORT_PERCENT,
    &SHORT_JOBS,
    &SHORT_S,
    &CHANGE_RULES,
    &INEFFICIENT_PERCENT,
    &INEFFICIENT_JOBS,
    &LOW_EFFICIENCY_PERCENT,
    &IO_WAIVER_KB_S,
    &OVER_CPU_FACTOR,
    &MIN_OK_PERCENT,
];

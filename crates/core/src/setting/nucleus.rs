//! Settings of the choice of a nucleus (`spec/engine.md` sections 5.8, 8.4, 20.11): where a task keeps its outputs.

use super::Setting;

/// Whether one is chosen.
pub const CHOOSE: Setting = Setting::flag(
    "nucleus.choose",
    false,
    "5.8: TaskBroker (upstream for tasks of the cloud WORLD only)",
    "a task that names no nucleus gets one before its first jobs: a storage endpoint that its outputs go to",
);
/// Free space.
pub const MIN_SPACE_GB: Setting = Setting::int(
    "nucleus.min_space_gb",
    100_000,
    "20.11: jedi / taskbrokerage / DISK_THRESHOLD (100 TB)",
    "least free space of a nucleus, GB, where it publishes any",
);
/// Free space that counts.
pub const SPACE_CAP_GB: Setting = Setting::int(
    "nucleus.space_cap_gb",
    1_000_000,
    "20.11: jedi / taskbrokerage / FREE_DISK_CUTOFF (1000 TB)",
    "free space above which more does not make a nucleus better, GB",
)
.within(1.0, 9e15);
/// Backlog from which the weight is divided.
pub const BACKLOG_FILES: Setting = Setting::int(
    "nucleus.backlog_files",
    50_000,
    "20.11: backlog (RW) 50, fixed upstream; here 1000 files are one unit",
    "input files that the tasks of a nucleus still have to process, above which its weight is divided by how many times more there are",
)
.within(1.0, 9e15);
/// Most backlog.
pub const MAX_BACKLOG_FILES: Setting = Setting::no_int(
    "nucleus.max_backlog_files",
    "8.4: backlog RW limit (no number given)",
    "a nucleus whose tasks have more input files than this to process is left out",
);
/// Weight of tapes.
pub const TAPE_WEIGHT: Setting = Setting::float(
    "nucleus.tape_weight",
    0.001,
    "20.11: tape weight, fixed upstream",
    "the weight of a nucleus that is a tape is multiplied by this",
)
.within(0.0, 1.0);
/// Input from which it matters where it lies.
pub const INPUT_GB: Setting = Setting::int(
    "nucleus.input_gb",
    1,
    "20.11: jedi / taskbrokerage / INPUT_SIZE_THRESHOLD",
    "from so much input on a nucleus must have nucleus.input_percent of its bytes, GB",
);
/// The same by files.
pub const INPUT_FILES: Setting = Setting::int(
    "nucleus.input_files",
    100,
    "20.11: jedi / taskbrokerage / INPUT_NUM_THRESHOLD",
    "from so many input files on a nucleus must have nucleus.files_percent of them",
);
/// Bytes that must be there.
pub const INPUT_PERCENT: Setting = Setting::int(
    "nucleus.input_percent",
    10,
    "20.11: jedi / taskbrokerage / INPUT_SIZE_FRACTION",
    "per cent of the input's bytes that a nucleus must have",
)
.within(0.0, 100.0);
/// Files that must be there.
pub const FILES_PERCENT: Setting = Setting::int(
    "nucleus.files_percent",
    10,
    "20.11: jedi / taskbrokerage / INPUT_NUM_FRACTION",
    "per cent of the input's files that a nucleus must have",
)
.within(0.0, 100.0);
/// Jobs that read little may be away from their input.
pub const IO_KB_S: Setting = Setting::int(
    "nucleus.io_kb_s",
    200,
    "20.11: jedi / taskbrokerage / MIN_IO_INTENSITY_WITH_LOCAL_DATA",
    "jobs that read and write at most so many kB/s get a nucleus without their input when none has it and the input is small enough",
);
/// Small inputs may be moved.
pub const MOVE_GB: Setting = Setting::int(
    "nucleus.move_gb",
    10_000,
    "20.11: jedi / taskbrokerage / MIN_INPUT_SIZE_WITH_LOCAL_DATA",
    "input that may be moved to a nucleus when none has it, GB; goes with nucleus.io_kb_s",
);
/// Urgent tasks do not wait for their input.
pub const PRIORITY: Setting = Setting::int(
    "nucleus.priority",
    800,
    "20.11: jedi / taskbrokerage / MAX_TASK_PRIO_WITH_LOCAL_DATA",
    "a task of this priority or more gets a nucleus without its input when none has it",
);
/// In the end no task waits for its input.
pub const DATA_WAIT_S: Setting = Setting::int(
    "nucleus.data_wait_s",
    7 * 24 * 3_600,
    "20.11: jedi / taskbrokerage / DATA_LOCATION_CHECK_PERIOD",
    "after so long without a nucleus it does not matter any more where the input lies, seconds",
);

/// All of this area.
pub const ALL: &[&Setting] = &[
    &CHOOSE,
    &MIN_SPACE_GB,
    &SPACE_CAP_GB,
    &BACKLOG_FILES,
    &MAX_BACKLOG_FILES,
    &TAPE_WEIGHT,
    &INPUT_GB,
    &INPUT_FILES,
    &INPUT_PERCENT,
    &FILES_PERCENT,
    &IO_KB_S,
    &MOVE_GB,
    &PRIORITY,
    &DATA_WAIT_S,
];

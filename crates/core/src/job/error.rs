//! Error codes of jobs by their source (`spec/engine.md` sections 2.1.1, 3.5 and 11).
//!
//! It must not know rules: what a code makes the system do is a matter of `policy::retry`.

use crate::words::word_enum;

word_enum! {
    /// Who says what went wrong, in the order in which people want to read it.
    Source, "error source" {
        /// The exit status of the transformation.
        Trans = "trans",
        /// The payload's own code.
        Exe = "exe",
        /// The pilot.
        Pilot = "pilot",
        /// Data management: outputs and inputs.
        Ddm = "ddm",
        /// The worker or its batch system.
        Sup = "sup",
        /// The dispatcher: heartbeats.
        Dispatcher = "jobdispatcher",
        /// This server itself.
        Server = "taskbuffer",
    }
}

impl Source {
    /// The name of its code among a report's errors and in the API.
    #[must_use]
    pub const fn code_key(self) -> &'static str {
        match self {
            Self::Trans => "trans_exit_code",
            Self::Exe => "exe_error_code",
            Self::Pilot => "pilot_error_code",
            Self::Ddm => "ddm_error_code",
            Self::Sup => "sup_error_code",
            Self::Dispatcher => "job_dispatcher_error_code",
            Self::Server => "task_buffer_error_code",
        }
    }
    /// The name of its text among a report's errors and in the API; the transformation has none.
    #[must_use]
    pub const fn diag_key(self) -> &'static str {
        match self {
            Self::Trans => "trans_exit_diag",
            Self::Exe => "exe_error_diag",
            Self::Pilot => "pilot_error_diag",
            Self::Ddm => "ddm_error_diag",
            Self::Sup => "sup_error_diag",
            Self::Dispatcher => "job_dispatcher_error_diag",
            Self::Server => "task_buffer_error_diag",
        }
    }
}

/// [`Source::Ddm`]: a report that does not hold: outputs that are missing or not what was said, inputs in other hands (`spec/engine.md` 12.1).
pub const BAD_REPORT: i64 = 200;
/// [`Source::Dispatcher`]: nothing was heard of the pilot for too long.
pub const LOST_HEARTBEAT: i64 = 100;
/// [`Source::Sup`]: the worker was taken from under the job. Our own number.
pub const WORKER_LOST: i64 = 1_003;
/// [`Source::Server`]: the library that the job needs could not be built. Our own number.
pub const BUILD_FAILED: i64 = 1_001;
/// [`Source::Server`]: the job's outputs could not be merged. Our own number.
pub const MERGE_FAILED: i64 = 1_002;

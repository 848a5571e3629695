//! Pilot error codes, as the official pilots number them (`pilot.md` section 10).
//!
//! Owns the numbers and the failure a job can have in the worker.

/// A failure of a job that the worker saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobFailure {
    /// Pilot error code.
    pub(crate) code: i64,
    /// What happened, for people.
    pub(crate) diag: String,
}

impl JobFailure {
    pub(crate) fn new(code: i64, diag: impl Into<String>) -> Self {
        Self { code, diag: diag.into() }
    }
}

/// Failed to stage-in file.
pub(crate) const STAGE_IN: i64 = 1099;
/// Failed to stage-out file.
pub(crate) const STAGE_OUT: i64 = 1137;
/// This job was killed by the server.
pub(crate) const KILLED_BY_SERVER: i64 = 1144;
/// md5 mismatch on input file.
pub(crate) const INPUT_MD5: i64 = 1145;
/// Transform could not be downloaded.
pub(crate) const NO_TRANSFORM: i64 = 1149;
/// Local output file is missing.
pub(crate) const MISSING_OUTPUT: i64 = 1165;
/// adler32 mismatch on input file.
pub(crate) const INPUT_ADLER: i64 = 1171;
/// Failed to create a directory.
pub(crate) const MAKE_DIRECTORY: i64 = 1199;
/// The worker was told to end.
pub(crate) const SIGTERM: i64 = 1201;
/// Reached the time limit.
pub(crate) const WALL_TIME: i64 = 1213;
/// The payload used more memory than it may.
pub(crate) const MEMORY: i64 = 1235;
/// The job's description cannot be understood.
pub(crate) const BAD_JOB: i64 = 1302;
/// Failed to execute payload.
pub(crate) const PAYLOAD: i64 = 1305;
/// An internal problem of the worker.
pub(crate) const INTERNAL: i64 = 1319;
/// The log archive could not be made.
pub(crate) const LOG_ARCHIVE: i64 = 1320;
/// Pre-process command failed.
pub(crate) const PRE_PROCESS: i64 = 1356;
/// Post-process command failed.
pub(crate) const POST_PROCESS: i64 = 1357;
/// No container engine.
pub(crate) const NO_CONTAINER: i64 = 1372;

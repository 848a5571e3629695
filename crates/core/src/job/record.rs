//! What a job is for.

use crate::words::word_enum;

word_enum! {
    /// What a job is for.
    JobKind, "job kind" {
        /// Runs the payload over a part of a task.
        Run = "run",
        /// Builds the library of a task (`panda` label).
        Build = "build",
        /// Merges outputs of run jobs (processing type `pmerge`).
        Merge = "merge",
        /// Prepares a task before it is split (event picking, good-run lists).
        Prepare = "prepare",
        /// Belongs to no task: `job/submit`.
        Standalone = "standalone",
    }
}

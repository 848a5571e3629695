//! Gets jobs, stages in, runs, watches, stages out, reports; the payload runners.
//!
//! Two halves that meet only in the contract of `payload_runners.md` section 1:
//! [`runner`] is what a job starts under the name of a script; [`worker`] is the
//! pilot that takes jobs from a server and starts them. Must not know batch
//! systems, the database or the engine: a worker has a URL and a token.

mod cli;
pub mod container;
pub mod runner;
pub mod worker;

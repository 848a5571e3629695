//! Naming of output files (`spec/engine.md` section 3.4).

use crate::Error;

/// An output of a job that is to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputName<'a> {
    /// VO.
    pub vo: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// The task.
    pub task_id: i64,
    /// Its name.
    pub task_name: &'a str,
    /// The job.
    pub job_id: i64,
    /// Running number of the output.
    pub serial: i64,
    /// The template of the task's parameters.
    pub template: &'a str,
    /// The name that the neutral rules make of the template.
    pub neutral: &'a str,
}

/// Names output files. It is asked of each output of each job, so it is a part of the program, reads nothing, and gives the same name for the same
/// question; different questions have different names.
pub trait Naming: Send + Sync {
    /// The name of an output file.
    ///
    /// # Errors
    /// Why there is none; the jobs wait.
    fn output(&self, ask: &OutputName<'_>) -> Result<String, Error>;
}

//! Retry policy: whether what a failed job was to do is tried again (`spec/engine.md` section 11).

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::Error;

/// An error of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Who reports it: `pilot`, `trans`, `exe`, `ddm`, `sup`, ….
    pub source: String,
    /// Its code.
    pub code: i64,
    /// What was said of it.
    pub message: String,
}

/// An input file of a failed job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub lfn: String,
    /// Attempts so far, this one included.
    pub attempt: i64,
    /// Attempts that its task allows.
    pub max_attempt: i64,
}

/// What is asked of a failed job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryAsk {
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Its task.
    pub task_id: i64,
    /// The job.
    pub job_id: i64,
    /// Its queue; empty = none.
    pub queue: String,
    /// Its errors.
    pub errors: Vec<JobError>,
    /// Its input files, at most 100.
    pub inputs: Vec<Tried>,
}

/// What a plug-in says of a failed job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether its inputs are tried again; the attempts that the task allows bind all the same.
    pub retry: bool,
    /// Most attempts of these inputs, when that is less than the task allows.
    #[serde(default)]
    pub max_attempt: Option<i64>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// Judges failed jobs.
pub trait RetryPolicy: Send + Sync {
    /// What is wrong with it when it does not work now: one sentence that names it.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Whether the inputs of a failed job are tried again. The same job may be asked of again.
    fn judge<'a>(&'a self, ask: &'a RetryAsk) -> BoxFuture<'a, Result<Judgement, Error>>;
}

//! Naming of output files (`spec/engine.md` section 3.4).

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

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

/// Outputs of jobs that are to be made, for a plug-in that answers later: the jobs have no numbers yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesAsk {
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// The task.
    pub task_id: i64,
    /// Its name.
    pub task_name: String,
    /// The outputs, each once.
    pub outputs: Vec<Unnamed>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unnamed {
    /// Running number of the output.
    pub serial: i64,
    /// The template of the task's parameters.
    pub template: String,
    /// The name that the neutral rules make of the template; `$PANDAID` stands for the number of the job.
    pub neutral: String,
}

/// Names output files beside the loop that makes jobs, many at a time; the same question has the same answer, different ones different answers.
pub trait NamingService: Send + Sync {
    /// What is wrong with it when it does not work now: one sentence that names it.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// The names of these outputs in their order; `$PANDAID` in a name becomes the number of the job.
    fn outputs<'a>(&'a self, ask: &'a NamesAsk) -> BoxFuture<'a, Result<Vec<String>, Error>>;
}

/// A naming plug-in, by how it is asked.
#[derive(Clone)]
pub enum Namer {
    /// A part of the program.
    Part(Arc<dyn Naming>),
    /// It answers later.
    Service(Arc<dyn NamingService>),
}

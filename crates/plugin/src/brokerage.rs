//! Brokerage: which of the queues that fit get the next jobs of a task (`spec/engine.md` section 8).

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A queue that passed every filter of the neutral broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub queue: String,
    /// Weight that the neutral broker gives it; the next jobs' queue is drawn by weight.
    pub weight: f64,
    /// Whether the task uses it already.
    pub used: bool,
}

/// What is asked for the next jobs of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerageAsk {
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// The task.
    pub task_id: i64,
    /// Its processing type; empty = none.
    pub processing_type: String,
    /// Its working group; empty = none.
    pub working_group: String,
    /// Its priority.
    pub priority: i64,
    /// Cores of a job; 0 = any.
    pub cores: i64,
    /// Memory of a job, MB.
    pub ram_mb: i64,
    /// Wall time of a job in seconds; 0 = not known.
    pub walltime_s: i64,
    /// Input of a job, MB; 0 = not known.
    pub input_mb: i64,
    /// Data sets of its input.
    pub inputs: Vec<String>,
    /// The queues, the best first.
    pub candidates: Vec<Candidate>,
}

/// A queue that may be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// Its name, one of the candidates.
    pub queue: String,
    /// Its weight; none = as it was.
    #[serde(default)]
    pub weight: Option<f64>,
}

/// What a plug-in makes of the candidates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preferences {
    /// Those that may be drawn; the others are ruled out. None of them: the task waits.
    pub queues: Vec<Preference>,
    /// Why others are ruled out, for people.
    #[serde(default)]
    pub reason: String,
}

/// Chooses among queues.
pub trait Brokerage: Send + Sync {
    /// What is wrong with it when it does not work now: one sentence that names it.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Which of the candidates may get the next jobs, and with which weights. Asked again whenever jobs are made.
    fn choose<'a>(&'a self, ask: &'a BrokerageAsk) -> BoxFuture<'a, Result<Preferences, Error>>;
}

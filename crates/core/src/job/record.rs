//! The record of a job: what is filtered or changes. What only a pilot reads stands in the job document, not here.
//!
//! It must not know column names or the texts that travel.

use super::state::JobState;
use crate::id::{JobId, LaneId, QueueId, TaskId};
use crate::time::Micros;
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

/// A job without its document and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `PandaID`.
    pub id: JobId,
    /// `jediTaskID`; none for a standalone job.
    pub task_id: Option<TaskId>,
    /// State; changed only after `job::transition::check`.
    pub state: JobState,
    /// Sub-state: a word of the pilot or of the killer (`toreassign`, `taskdone`, ...).
    pub sub_state: Option<String>,
    /// What it is for.
    pub kind: JobKind,
    /// The queue it was brokered to.
    pub queue_id: Option<QueueId>,
    /// The lane it stands in; set exactly while activated.
    pub ready_lane: Option<LaneId>,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Who issued the owner's identity; with the subject the key of the owner.
    pub owner_issuer: String,
    /// The owner's subject at the issuer.
    pub owner_subject: String,
    /// The owner's name as shown; never a key.
    pub owner_name: String,
    /// Current priority; higher goes first.
    pub priority: i64,
    /// `attemptNr`, from 0.
    pub attempt: i64,
    /// `maxAttempt`.
    pub max_attempt: i64,
    /// Cores, at least 1.
    pub core_count: i64,
    /// Memory of the whole job in MB (`minRamCount`); 0 = not stated.
    pub ram_mb: i64,
    /// Scratch disk in MB (`maxDiskCount`); 0 = not stated.
    pub disk_mb: i64,
    /// Wall time in seconds (`maxWalltime`); 0 = not stated.
    pub walltime_s: i64,
    /// `SCORE`, `MCORE`, ... ([`crate::queue::resource_type`]).
    pub resource_type: String,
    /// `jobName`.
    pub name: String,
    /// `processingType`.
    pub processing_type: String,
    /// When the row was made.
    pub created: Micros,
    /// When it was last changed.
    pub modified: Micros,
    /// When the payload started.
    pub started: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// When the state last changed.
    pub state_changed: Micros,
    /// The worker node (`modificationHost`).
    pub host: Option<String>,
    /// `batchID` as the pilot reported it.
    pub batch_id: Option<String>,
    /// Command that waits for the pilot (`commandToPilot`), for example `tobekilled`.
    pub command: Option<String>,
    /// Whether the job runs in debug mode.
    pub debug: bool,
    /// What went wrong.
    pub errors: JobErrors,
    /// Number of changes of this row; a write names the one it has read.
    pub rev: i64,
}

/// Error codes and texts of a job by their source; a code of 0 is stored as none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobErrors {
    /// Exit code of the transformation.
    pub trans_exit_code: Option<i64>,
    /// The pilot's code.
    pub pilot_error_code: Option<i64>,
    /// The pilot's text.
    pub pilot_error_diag: Option<String>,
    /// The payload's code.
    pub exe_error_code: Option<i64>,
    /// The payload's text.
    pub exe_error_diag: Option<String>,
    /// Supervisor's (worker, batch system) code.
    pub sup_error_code: Option<i64>,
    /// Supervisor's text.
    pub sup_error_diag: Option<String>,
    /// Data management's code.
    pub ddm_error_code: Option<i64>,
    /// Data management's text.
    pub ddm_error_diag: Option<String>,
    /// Brokerage's code.
    pub brokerage_error_code: Option<i64>,
    /// Brokerage's text.
    pub brokerage_error_diag: Option<String>,
    /// Dispatcher's (watcher, heartbeats) code.
    pub job_dispatcher_error_code: Option<i64>,
    /// Dispatcher's text; empty after a final report (`spec/engine.md` 3.3).
    pub job_dispatcher_error_diag: Option<String>,
    /// The server's own code ([`crate::job::kill::code`]).
    pub task_buffer_error_code: Option<i64>,
    /// The server's own text.
    pub task_buffer_error_diag: Option<String>,
}

impl JobErrors {
    /// The first error in the order in which people want to read them: payload, pilot, worker, data, then our own.
    #[must_use]
    pub fn first(&self) -> Option<(&'static str, i64, Option<&str>)> {
        let sources = [
            ("trans", self.trans_exit_code, None),
            ("exe", self.exe_error_code, self.exe_error_diag.as_deref()),
            ("pilot", self.pilot_error_code, self.pilot_error_diag.as_deref()),
            ("sup", self.sup_error_code, self.sup_error_diag.as_deref()),
            ("ddm", self.ddm_error_code, self.ddm_error_diag.as_deref()),
            ("brokerage", self.brokerage_error_code, self.brokerage_error_diag.as_deref()),
            ("job_dispatcher", self.job_dispatcher_error_code, self.job_dispatcher_error_diag.as_deref()),
            ("task_buffer", self.task_buffer_error_code, self.task_buffer_error_diag.as_deref()),
        ];
        sources.into_iter().find_map(|(source, code, diag)| match code {
            Some(code) if code != 0 => Some((source, code, diag)),
            _ => None,
        })
    }
}

impl Job {
    /// A job with neutral values: one core, no limits, nothing reported, revision 0.
    #[must_use]
    pub fn new(id: JobId, kind: JobKind, state: JobState, now: Micros) -> Self {
        Self {
            id,
            task_id: None,
            state,
            sub_state: None,
            kind,
            queue_id: None,
            ready_lane: None,
            vo: String::new(),
            label: String::new(),
            owner_issuer: String::new(),
            owner_subject: String::new(),
            owner_name: String::new(),
            priority: 0,
            attempt: 0,
            max_attempt: 1,
            core_count: 1,
            ram_mb: 0,
            disk_mb: 0,
            walltime_s: 0,
            resource_type: String::new(),
            name: String::new(),
            processing_type: String::new(),
            created: now,
            modified: now,
            started: None,
            ended: None,
            state_changed: now,
            host: None,
            batch_id: None,
            command: None,
            debug: false,
            errors: JobErrors::default(),
            rev: 0,
        }
    }
}

//! Jobs.

pub mod claim;
pub mod count;
pub mod file;
pub mod library;
pub mod list;
pub mod page;
pub mod past;
pub mod report;
pub mod transition;
pub mod waiting;

use panda_core::{
    id::{JobId, LaneId, QueueId, TaskId},
    job::{error::Source, record::JobKind, state::JobState},
};

use super::code;
use crate::{Error, Row};

/// A row of `job`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Number.
    pub id: JobId,
    /// Its task; None for a job submitted alone.
    pub task_id: Option<TaskId>,
    /// State.
    pub state: JobState,
    /// Finer word, e.g. `lost_worker`.
    pub sub_state: Option<String>,
    /// What it is for.
    pub kind: JobKind,
    /// Where it runs.
    pub queue_id: Option<QueueId>,
    /// The lane it is dispatched from when activated.
    pub lane_id: Option<LaneId>,
    /// Minus the priority, so that one rising index serves the dispatch.
    pub neg_priority: i64,
    /// Attempt number, from 0.
    pub attempt: i64,
    /// Last attempt number.
    pub max_attempt: i64,
    /// Virtual organisation.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Owner's row.
    pub person_id: i64,
    /// Name.
    pub name: Option<String>,
    /// Processing type.
    pub processing_type: Option<String>,
    /// SCORE, MCORE, …
    pub resource_type: String,
    /// Cores.
    pub core_count: i64,
    /// MB; 0 = unknown.
    pub ram_mb: i64,
    /// MB; 0 = unknown.
    pub disk_mb: i64,
    /// Seconds; 0 = unknown.
    pub walltime_s: i64,
    /// Command waiting for the pilot, e.g. `tobekilled`.
    pub command: Option<String>,
    /// Debug mode.
    pub debug: bool,
    /// Node of the pilot.
    pub host: Option<String>,
    /// Batch id of the pilot.
    pub batch_id: Option<String>,
    /// The build job whose library it waits for.
    pub wait_job: Option<JobId>,
    /// The payload's exit code.
    pub trans_exit_code: Option<i64>,
    /// The pilot's error code.
    pub pilot_error_code: Option<i64>,
    /// The payload's error code.
    pub exe_error_code: Option<i64>,
    /// The code of data management: outputs that are not there.
    pub ddm_error_code: Option<i64>,
    /// The code of the worker or its batch system.
    pub sup_error_code: Option<i64>,
    /// The dispatcher's code: heartbeats.
    pub dispatcher_error_code: Option<i64>,
    /// This server's own code (upstream's task buffer): kills, expiry, what a job waited for.
    pub server_error_code: Option<i64>,
    /// The diagnosis that people read first.
    pub diag: Option<String>,
    /// Microseconds UTC.
    pub created_us: i64,
    /// Microseconds UTC.
    pub modified_us: i64,
    /// Microseconds UTC of the last change of state.
    pub state_us: i64,
    /// Microseconds UTC.
    pub started_us: Option<i64>,
    /// Microseconds UTC.
    pub ended_us: Option<i64>,
    /// Revision; each change adds one.
    pub rev: i64,
}

impl JobRow {
    /// Its error codes by their source; 0 is no error.
    #[must_use]
    pub fn codes(&self) -> Vec<(Source, i64)> {
        let all = Source::ALL.iter().map(|s| (*s, self.code(*s)));
        all.filter_map(|(source, code)| code.filter(|c| *c != 0).map(|c| (source, c))).collect()
    }
    /// The code of one source.
    #[must_use]
    pub const fn code(&self, source: Source) -> Option<i64> {
        match source {
            Source::Trans => self.trans_exit_code,
            Source::Exe => self.exe_error_code,
            Source::Pilot => self.pilot_error_code,
            Source::Ddm => self.ddm_error_code,
            Source::Sup => self.sup_error_code,
            Source::Dispatcher => self.dispatcher_error_code,
            Source::Server => self.server_error_code,
        }
    }
}

/// The select list that [`read`] expects.
macro_rules! job_columns {
    () => {
        "id, task_id, state, sub_state, kind, queue_id, lane_id, neg_priority, attempt, max_attempt, vo, label, person_id, name, processing_type, resource_type, core_count, ram_mb, disk_mb, walltime_s, command, debug, host, batch_id, wait_job, trans_exit_code, pilot_error_code, exe_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code, diag, created_us, modified_us, state_us, started_us, ended_us, rev"
    };
}
pub(crate) use job_columns;

pub(crate) fn read(r: &Row) -> Result<JobRow, Error> {
    let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
    Ok(JobRow {
        id: JobId(r.int(0)?),
        task_id: r.opt_int(1)?.map(TaskId),
        state: code("job state", r.text(2)?, JobState::parse(r.text(2)?).ok())?,
        sub_state: text(3)?,
        kind: code("job kind", r.text(4)?, JobKind::parse(r.text(4)?).ok())?,
        queue_id: r.opt_int(5)?.map(QueueId),
        lane_id: r.opt_int(6)?.map(LaneId),
        neg_priority: r.int(7)?,
        attempt: r.int(8)?,
        max_attempt: r.int(9)?,
        vo: r.text(10)?.to_owned(),
        label: r.text(11)?.to_owned(),
        person_id: r.int(12)?,
        name: text(13)?,
        processing_type: text(14)?,
        resource_type: r.text(15)?.to_owned(),
        core_count: r.int(16)?,
        ram_mb: r.int(17)?,
        disk_mb: r.int(18)?,
        walltime_s: r.int(19)?,
        command: text(20)?,
        debug: r.int(21)? != 0,
        host: text(22)?,
        batch_id: text(23)?,
        wait_job: r.opt_int(24)?.map(JobId),
        trans_exit_code: r.opt_int(25)?,
        pilot_error_code: r.opt_int(26)?,
        exe_error_code: r.opt_int(27)?,
        ddm_error_code: r.opt_int(28)?,
        sup_error_code: r.opt_int(29)?,
        dispatcher_error_code: r.opt_int(30)?,
        server_error_code: r.opt_int(31)?,
        diag: text(32)?,
        created_us: r.int(33)?,
        modified_us: r.int(34)?,
        state_us: r.int(35)?,
        started_us: r.opt_int(36)?,
        ended_us: r.opt_int(37)?,
        rev: r.int(38)?,
    })
}

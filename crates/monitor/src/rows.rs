//! Rows of tasks, data sets, jobs and files: as lines of tables, and as JSON under the names that scripts know (`spec/monitor.md` section 2.2).
//!
//! Times in JSON are `YYYY-MM-DD HH:MM:SS`, UTC; sizes are bytes, memory and disk MB, wall time seconds.

use panda_core::task::state::TaskState;
use panda_store::query::{
    job::{JobRow, file::JobFile},
    task::{TaskRow, dataset::TaskDataset, file::TaskFile},
};
use serde_json::{Value, json};

use crate::{
    app::Names,
    show::{Bar, Tag, Tone, When, bytes, count, span, stamp},
};

/// Counters of a task's master inputs, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Files.
    pub files: i64,
    /// Taken by jobs.
    pub used: i64,
    /// Done.
    pub finished: i64,
    /// Failed for good.
    pub failed: i64,
    /// Held.
    pub on_hold: i64,
    /// Events.
    pub events: i64,
}

impl Progress {
    /// Over these data sets.
    pub(crate) fn of<'d>(datasets: impl Iterator<Item = &'d TaskDataset>) -> Self {
        datasets.filter(|d| d.is_master).fold(Self::default(), |sum, d| Self {
            files: sum.files + d.n_files,
            used: sum.used + d.n_used,
            finished: sum.finished + d.n_finished,
            failed: sum.failed + d.n_failed,
            on_hold: sum.on_hold + d.n_on_hold,
            events: sum.events + d.n_events,
        })
    }
    /// Files that jobs work on.
    pub(crate) fn in_work(self) -> i64 {
        (self.used - self.finished - self.failed).max(0)
    }
    /// Whole percent of the files.
    pub(crate) fn percent(self, n: i64) -> i64 {
        if self.files > 0 { n * 100 / self.files } else { 0 }
    }
    /// As a bar.
    pub(crate) fn bar(self) -> Bar {
        let parts = vec![(Tone::Ok, "done", self.finished), (Tone::Run, "in work", self.in_work()), (Tone::Bad, "failed", self.failed)];
        Bar::new(parts, self.files)
    }
}

/// A task in a table.
pub(crate) struct TaskLine {
    /// Number.
    pub id: i64,
    /// Name.
    pub name: String,
    /// State.
    pub state: Tag,
    /// Owner's shown name.
    pub owner: String,
    /// How far it is, by files.
    pub bar: Bar,
    /// Files of its inputs.
    pub files: String,
    /// Percent done.
    pub percent: i64,
    /// Failed files; empty when there are none.
    pub failed: String,
    /// Made.
    pub created: When,
    /// Changed last.
    pub modified: When,
    /// Why it waits or failed.
    pub reason: String,
}

impl TaskLine {
    /// Of a row and its data sets.
    pub(crate) fn new(t: &TaskRow, owner: String, progress: Progress, now_us: i64) -> Self {
        Self {
            id: t.id.0,
            name: t.name.clone(),
            state: Tag::task(t.state),
            owner,
            bar: progress.bar(),
            files: count(progress.files),
            percent: progress.percent(progress.finished),
            failed: if progress.failed > 0 { count(progress.failed) } else { String::new() },
            created: When::ago(t.created_us, now_us),
            modified: When::ago(t.modified_us, now_us),
            reason: t.reason.clone().unwrap_or_default(),
        }
    }
}

fn time(us: impl Into<Option<i64>>) -> Value {
    us.into().map_or(Value::Null, |us| stamp(us).into())
}

/// A task as JSON; with `datasets` its data sets, too.
pub(crate) fn task_json(t: &TaskRow, owner: &str, progress: Progress, datasets: &[TaskDataset]) -> Value {
    json!({
        "jeditaskid": t.id.0, "reqid": t.id.0, "taskname": t.name, "status": t.state.as_str(), "superstatus": super_status(t.state),
        "oldstatus": t.prev_state.map(TaskState::as_str), "username": owner, "vo": t.vo, "prodsourcelabel": t.label,
        "workinggroup": t.working_group, "processingtype": t.processing_type, "taskpriority": t.priority, "currentpriority": t.priority,
        "parent_tid": t.parent_id.map(|p| p.0), "attemptnr": t.attempt, "commandtoengine": t.command, "errordialog": t.reason,
        "creationdate": time(t.created_us), "modificationtime": time(t.modified_us), "statechangetime": time(t.state_us),
        "starttime": time(t.started_us), "endtime": time(t.ended_us),
        "dsinfo": {
            "nfiles": progress.files, "nfilesused": progress.used, "nfilesfinished": progress.finished, "nfilesfailed": progress.failed,
            "nfilesonhold": progress.on_hold, "nevents": progress.events,
            "pctfinished": progress.percent(progress.finished), "pctfailed": progress.percent(progress.failed),
        },
        "datasets": datasets.iter().map(dataset_json).collect::<Value>(),
    })
}

/// The coarse state that lists are filtered by: of a live task how far it is, else its end.
fn super_status(state: TaskState) -> &'static str {
    use TaskState::{Assigning, Defined, Ready, Registered, Staging, Waiting};
    match state {
        s if s.is_final() => s.as_str(),
        Waiting | Registered | Staging => "registered",
        Defined | Assigning => "submitting",
        Ready => "ready",
        _ => "running",
    }
}

/// A data set of a task as JSON.
pub(crate) fn dataset_json(d: &TaskDataset) -> Value {
    json!({
        "jeditaskid": d.task_id.0, "datasetid": d.id, "datasetname": d.name, "containername": d.name, "type": d.role.as_str(),
        "streamname": d.stream, "ismaster": d.is_master, "status": d.state, "nfiles": d.n_files, "nfilesused": d.n_used,
        "nfilesfinished": d.n_finished, "nfilesfailed": d.n_failed, "nfilesonhold": d.n_on_hold, "nevents": d.n_events,
    })
}

/// A job in a table.
pub(crate) struct JobLine {
    /// Number.
    pub id: i64,
    /// Its task.
    pub task: Option<i64>,
    /// State.
    pub state: Tag,
    /// Finer word.
    pub sub_state: String,
    /// What it is for.
    pub kind: &'static str,
    /// Owner's shown name.
    pub owner: String,
    /// Queue; None before it has one.
    pub queue: Option<String>,
    /// The queue's name for a link.
    pub queue_link: String,
    /// Node.
    pub host: String,
    /// Attempt, counted from 1 for people.
    pub attempt: i64,
    /// Cores.
    pub cores: i64,
    /// Changed last.
    pub modified: When,
    /// How long it ran, or has been running.
    pub ran: String,
    /// What went wrong: code and diagnosis.
    pub error: String,
}

impl JobLine {
    /// Of a row.
    pub(crate) fn new(j: &JobRow, names: &Names, now_us: i64) -> Self {
        let queue = names.queue(j.queue_id);
        Self {
            id: j.id.0,
            task: j.task_id.map(|t| t.0),
            state: Tag::job(j.state),
            sub_state: j.sub_state.clone().unwrap_or_default(),
            kind: j.kind.as_str(),
            owner: names.person(j.person_id),
            queue_link: queue.as_deref().map(crate::args::encode).unwrap_or_default(),
            queue,
            host: j.host.clone().unwrap_or_default(),
            attempt: j.attempt + 1,
            cores: j.core_count,
            modified: When::ago(j.modified_us, now_us),
            ran: j.started_us.map(|s| span(j.ended_us.unwrap_or(now_us) - s)).unwrap_or_default(),
            error: error_line(j),
        }
    }
}

fn error_line(j: &JobRow) -> String {
    let code = j.codes().first().map(|(source, code)| format!("{source} {code}"));
    match (code, &j.diag) {
        (Some(code), Some(diag)) => format!("{code}: {diag}"),
        (Some(code), None) => code,
        (None, Some(diag)) => diag.clone(),
        (None, None) => String::new(),
    }
}

/// A job as JSON.
pub(crate) fn job_json(j: &JobRow, names: &Names) -> Value {
    json!({
        "pandaid": j.id.0, "jeditaskid": j.task_id.map(|t| t.0), "jobstatus": j.state.as_str(), "jobsubstatus": j.sub_state,
        "category": j.kind.as_str(), "jobname": j.name, "produsername": names.person(j.person_id), "computingsite": names.queue(j.queue_id),
        "modificationhost": j.host, "batchid": j.batch_id, "vo": j.vo, "prodsourcelabel": j.label, "processingtype": j.processing_type,
        "resourcetype": j.resource_type, "corecount": j.core_count, "minramcount": j.ram_mb, "maxdiskcount": j.disk_mb,
        "maxwalltime": j.walltime_s, "currentpriority": -j.neg_priority, "attemptnr": j.attempt, "maxattempt": j.max_attempt,
        "creationtime": time(j.created_us), "modificationtime": time(j.modified_us), "statechangetime": time(j.state_us),
        "starttime": time(j.started_us), "endtime": time(j.ended_us),
        "transexitcode": j.trans_exit_code, "piloterrorcode": j.pilot_error_code, "exeerrorcode": j.exe_error_code,
        "ddmerrorcode": j.ddm_error_code, "superrorcode": j.sup_error_code, "jobdispatchererrorcode": j.dispatcher_error_code,
        "taskbuffererrorcode": j.server_error_code, "errorinfo": error_line(j), "commandtopilot": j.command, "debug": j.debug,
    })
}

/// A file in a table.
pub(crate) struct FileLine {
    /// What it is for.
    pub role: &'static str,
    /// Name.
    pub lfn: String,
    /// Scope.
    pub scope: String,
    /// State; None when only the job's dictionary names it.
    pub state: Option<Tag>,
    /// Size.
    pub size: String,
    /// `ad:` or `md5:` and hex digits.
    pub checksum: String,
    /// Where it lies.
    pub surl: String,
    /// The job that made it.
    pub job: i64,
}

impl FileLine {
    /// An output, a log or a library.
    pub(crate) fn output(f: &JobFile) -> Self {
        Self {
            role: f.role.as_str(),
            lfn: f.lfn.clone(),
            scope: f.scope.clone().unwrap_or_default(),
            state: Some(Tag::file(f.state)),
            size: f.fsize.map(bytes).unwrap_or_default(),
            checksum: f.checksum.clone().unwrap_or_default(),
            surl: f.surl.clone().unwrap_or_default(),
            job: f.job_id.0,
        }
    }
    /// An input.
    pub(crate) fn input(f: &TaskFile, role: &'static str) -> Self {
        let part = match (f.first_event, f.last_event) {
            (Some(first), Some(last)) => format!(" (events {first} to {last})"),
            _ => String::new(),
        };
        Self {
            role,
            lfn: format!("{}{part}", f.lfn),
            scope: f.scope.clone().unwrap_or_default(),
            state: Some(Tag::file(f.state)),
            size: f.fsize.map(bytes).unwrap_or_default(),
            checksum: f.checksum.clone().unwrap_or_default(),
            surl: f.surl.clone().unwrap_or_default(),
            job: f.job_id.map_or(0, |j| j.0),
        }
    }
}

/// A job's own file as JSON.
pub(crate) fn job_file_json(f: &JobFile, dataset: &str) -> Value {
    json!({
        "row_id": f.id, "pandaid": f.job_id.0, "jeditaskid": f.task_id.map(|t| t.0), "datasetid": f.dataset_id, "datasetname": dataset,
        "type": f.role.as_str(), "lfn": f.lfn, "scope": f.scope, "guid": f.guid, "fsize": f.fsize, "checksum": f.checksum, "surl": f.surl,
        "nevents": f.n_events, "status": f.state.as_str(),
    })
}

/// A task's input file as JSON.
pub(crate) fn task_file_json(f: &TaskFile, dataset: &str, role: &str) -> Value {
    json!({
        "fileid": f.id, "pandaid": f.job_id.map(|j| j.0), "jeditaskid": f.task_id.0, "datasetid": f.dataset_id, "datasetname": dataset,
        "type": role, "lfn": f.lfn, "scope": f.scope, "guid": f.guid, "fsize": f.fsize, "checksum": f.checksum, "surl": f.surl,
        "nevents": f.n_events, "startevent": f.first_event, "endevent": f.last_event, "status": f.state.as_str(), "attemptnr": f.attempt,
        "maxattempt": f.max_attempt, "failedattempt": f.failed,
    })
}

//! Writes one job: names, command line, dictionary, rows.

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, LaneId},
    job::{record::JobKind, state::JobState},
    policy::{
        feed::Cut,
        names, params, priority,
        resource::Types,
        share::UNDEFINED,
        text::{self, Values},
    },
};
use panda_ops::{
    Ops,
    job::{
        dictionary::{self, DictFile, DictInput},
        priority::Standing,
    },
    json,
    queue::LaneOf,
    task::plan::Plan,
};
use panda_store::query::{
    job::{JobRow, file::JobFile},
    queue::{QueueRow, RseRow},
    task::{TaskRow, dataset::TaskDataset, file::TaskFile},
};
use panda_wire::TaskParameters;

use crate::EngineError;

/// Everything that the jobs of one task on one queue have in common.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The task.
    pub task: &'a TaskRow,
    /// Its parameters.
    pub params: &'a TaskParameters,
    /// Its plan.
    pub plan: &'a Plan,
    /// Its data sets.
    pub datasets: &'a [TaskDataset],
    /// The queue.
    pub queue: &'a QueueRow,
    /// The queue's storage.
    pub rse: &'a RseRow,
    /// Shown name of the owner.
    pub owner: &'a str,
    /// How the owner stands, for priorities.
    pub standing: Standing,
    /// Resource types.
    pub types: &'a Types,
    /// The server's base address.
    pub base_url: &'a str,
    /// Microseconds UTC.
    pub now_us: i64,
}

/// A file that a job reads.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Stream; empty for a library or a pre-merge file.
    pub stream: String,
    /// Name.
    pub lfn: String,
    /// Scope.
    pub scope: String,
    /// GUID.
    pub guid: Option<String>,
    /// Bytes.
    pub fsize: Option<i64>,
    /// Checksum.
    pub checksum: Option<String>,
    /// Data set.
    pub dataset: String,
    /// Never read in place (library, merge input).
    pub local: bool,
}

/// A job to be stored.
#[derive(Debug)]
pub struct Made {
    /// The row.
    pub row: JobRow,
    /// Its own document fragment.
    pub doc: String,
    /// The common fragment (the same for all jobs of a kind, task and queue).
    pub common: String,
    /// Its outputs.
    pub files: Vec<JobFile>,
}

impl Setting<'_> {
    /// The priority of the `n`-th new job of a kind (`spec/engine.md` sections 3.4 and 20.1).
    #[must_use]
    pub fn priority(&self, kind: JobKind, n: i64) -> i64 {
        match kind {
            JobKind::Build => (priority::BUILD + self.standing.offset).max(self.task.priority),
            JobKind::Merge => priority::MERGE.max(self.task.priority),
            _ => priority::current(&self.standing.view(
                &self.task.label,
                self.task.processing_type.as_deref().unwrap_or_default(),
                self.task.priority,
                n,
            )),
        }
    }
    /// The lane of jobs of this label, cores and memory.
    pub async fn lane(&self, ops: &Ops, label: &str, cores: i64, ram_mb: i64) -> Result<LaneId, EngineError> {
        let share = self.task.share_name.as_deref().unwrap_or(UNDEFINED);
        let of = LaneOf { queue: self.queue.id, vo: &self.task.vo, label, share, resource_type: self.types.of(cores, ram_mb), ram_mb };
        Ok(ops.lane(&of).await?)
    }
    /// The address of a payload runner: the queue's script base when it has one, else this server.
    #[must_use]
    pub fn transformation(&self, runner: &str) -> String {
        if runner.contains("://") {
            return runner.to_owned();
        }
        match self.queue.script_base.as_deref() {
            Some(base) => format!("{}/{runner}", base.trim_end_matches('/')),
            None => format!("{}/trf/user/{runner}", self.base_url),
        }
    }
    /// `${SURL}`: what the client said, else this server.
    #[must_use]
    pub fn source_url(&self) -> String {
        self.params.source_url.clone().filter(|s| !s.is_empty()).unwrap_or_else(|| self.base_url.to_owned())
    }
    /// A row for a job of this kind, activated on the queue's lane.
    #[must_use]
    pub fn row(&self, id: JobId, kind: JobKind, lane: LaneId, priority: i64) -> JobRow {
        let (cores, ram) = if kind == JobKind::Build { (1, panda_ops::task::plan::RAM_MB) } else { (self.plan.cores, self.plan.ram_mb) };
        let label = match (kind, &self.plan.build) {
            (JobKind::Build, Some(b)) => b.label.clone(),
            _ => self.task.label.clone(),
        };
        JobRow {
            id,
            task_id: Some(self.task.id),
            state: JobState::Activated,
            sub_state: None,
            kind,
            queue_id: Some(self.queue.id),
            lane_id: Some(lane),
            neg_priority: -priority,
            attempt: 0,
            max_attempt: 1,
            vo: self.task.vo.clone(),
            label,
            person_id: self.task.person_id,
            name: Some(format!("{}.{id}", self.task.name)),
            processing_type: Some(if kind == JobKind::Merge {
                "pmerge".into()
            } else {
                self.task.processing_type.clone().unwrap_or_default()
            }),
            resource_type: self.types.of(cores, ram).to_owned(),
            core_count: cores,
            ram_mb: ram,
            disk_mb: self.plan.disk_mb,
            walltime_s: self.plan.walltime_s,
            command: None,
            debug: self.params.debug_mode == Some(true),
            host: None,
            batch_id: None,
            wait_job: None,
            trans_exit_code: None,
            pilot_error_code: None,
            exe_error_code: None,
            ddm_error_code: None,
            sup_error_code: None,
            dispatcher_error_code: None,
            server_error_code: None,
            diag: None,
            created_us: self.now_us,
            modified_us: self.now_us,
            state_us: self.now_us,
            started_us: None,
            ended_us: None,
            rev: 0,
        }
    }
    /// Writes documents for a row: its command line, what it reads, what it makes.
    #[must_use]
    pub fn documents(&self, row: JobRow, runner: &str, job_pars: &str, reads: &[Reads], files: Vec<JobFile>) -> Made {
        let names: Vec<(String, String)> =
            files.iter().map(|f| (f.lfn.clone(), self.dataset_name(f.dataset_id).unwrap_or_else(|| f.lfn.clone()))).collect();
        let (extra_common, extra_own) = self.extras(row.kind, job_pars, reads);
        let input = DictInput {
            task_id: Some(self.task.id.0),
            name: row.name.as_deref().unwrap_or_default(),
            label: &row.label,
            processing_type: row.processing_type.as_deref().unwrap_or_default(),
            transformation: &self.transformation(runner),
            job_pars: &self.with_image(row.kind, job_pars),
            inputs: reads
                .iter()
                .map(|r| DictFile {
                    lfn: &r.lfn,
                    scope: &r.scope,
                    guid: r.guid.as_deref(),
                    fsize: r.fsize,
                    checksum: r.checksum.as_deref(),
                    dataset: &r.dataset,
                    token: r.local.then_some("local"),
                    rse: &self.rse.name,
                    ..DictFile::default()
                })
                .collect(),
            outputs: files
                .iter()
                .zip(&names)
                .map(|(f, (lfn, dataset))| DictFile {
                    lfn,
                    scope: f.scope.as_deref().unwrap_or_default(),
                    guid: f.guid.as_deref(),
                    dataset,
                    rse: &self.rse.name,
                    is_log: f.role.is_log(),
                    optional: f.optional,
                    ..DictFile::default()
                })
                .collect(),
            queue: &self.queue.name,
            owner: self.owner,
            core_count: row.core_count,
            ram_mb: row.ram_mb,
            disk_mb: row.disk_mb,
            walltime_s: row.walltime_s,
            resource_type: &row.resource_type,
            cloud: &self.queue.site,
            container: if row.kind == JobKind::Run { self.plan.container.as_deref() } else { None },
            transfer_type: self.transfer_type(row.kind),
            use_secrets: self.params.use_secrets == Some(true) && row.kind == JobKind::Run,
            no_looping_check: self.params.no_looping_check == Some(true),
            extra_common,
            extra_own,
            ..DictInput::default()
        };
        let (common, doc) = (json::members(&dictionary::common(&input)), json::members(&dictionary::own(&input)));
        Made { doc, common, files, row }
    }
    /// The image as an option of our own that official pilots leave alone (`spec/payload_runners.md` section 9.3).
    fn with_image(&self, kind: JobKind, job_pars: &str) -> String {
        match (&self.plan.container, kind) {
            (Some(image), JobKind::Run) => format!("{job_pars} --ctrImage={image}"),
            _ => job_pars.to_owned(),
        }
    }
    fn dataset_name(&self, id: Option<i64>) -> Option<String> {
        let id = id?;
        self.datasets.iter().find(|d| d.id == id).map(|d| d.name.clone())
    }
}

/// The scope of a file: the catalogue's, else by the field rule.
#[must_use]
pub fn scope_of(file: &TaskFile) -> String {
    file.scope.clone().unwrap_or_else(|| names::scope(&file.lfn))
}

/// A file row for an output of a new job.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "one row's columns")]
pub fn output_row(
    id: i64,
    job: JobId,
    setting: &Setting<'_>,
    dataset: Option<i64>,
    role: FileRole,
    seq: i64,
    lfn: String,
    optional: bool,
) -> JobFile {
    JobFile {
        id,
        job_id: job,
        task_id: Some(setting.task.id),
        dataset_id: dataset,
        role,
        seq,
        scope: Some(if lfn.starts_with("regex|") { names::scope(&setting.task.name) } else { names::scope(&lfn) }),
        guid: role.is_log().then(|| uuid::Uuid::new_v4().to_string()),
        lfn,
        fsize: None,
        checksum: None,
        surl: None,
        n_events: None,
        state: FileState::Running,
        optional,
        attempt: 0,
        used_by: None,
    }
}

/// The values that replace the placeholders of a run job.
#[must_use]
pub fn values(
    setting: &Setting<'_>,
    master: &[&TaskFile],
    reads: &[Reads],
    outputs: &[(String, String)],
    serial: i64,
    lib: Option<&str>,
) -> Values {
    let mut v = Values::default();
    for input in &setting.plan.inputs {
        v.streams.insert(input.stream.clone(), Vec::new());
        v.datasets.insert(input.stream.clone(), input.datasets.first().cloned().unwrap_or_default());
    }
    for r in reads.iter().filter(|r| !r.stream.is_empty()) {
        let names = v.streams.entry(r.stream.clone()).or_default();
        if !names.contains(&r.lfn) {
            names.push(r.lfn.clone());
        }
    }
    // De-duplicated and sorted by name, as upstream hands them over.
    for names in v.streams.values_mut() {
        names.sort();
    }
    for (stream, lfn) in outputs {
        v.streams.insert(stream.clone(), vec![lfn.clone()]);
    }
    let mut word = |k: &str, text: String| v.words.insert(k.to_owned(), text);
    word("SN", serial.to_string());
    word("SURL", setting.source_url());
    if let Some(lib) = lib {
        word("LIB", lib.to_owned());
    }
    let first = master.first();
    let number = match (&setting.plan.pseudo, setting.plan.limits.files) {
        (Some(_), _) => first.map_or(serial, |f| f.seq),
        (None, Some(n)) => first.map_or(serial, |f| (f.seq - 1) / i64::try_from(n).unwrap_or(1).max(1) + 1),
        (None, None) => serial,
    };
    if let Some(offset) = setting.plan.sequence {
        word("SEQNUMBER", (offset + number).to_string());
    }
    if let Some(offset) = setting.plan.random_seed {
        word("RNDMSEED", (offset + number).to_string());
    }
    let events: Option<i64> = master.iter().map(|f| f.n_events).sum();
    let skip = first.and_then(|f| f.first_event).unwrap_or(0);
    word("MAXEVENTS", if setting.plan.cut != Cut::No { events.unwrap_or(-1).to_string() } else { "-1".into() });
    word("SKIPEVENTS", skip.to_string());
    word("FIRSTEVENT", (setting.params.first_event.unwrap_or(0) + skip).to_string());
    word("ATTEMPTNR", first.map_or(0, |f| f.attempt).to_string());
    for k in ["MIDDLENAME", "SEGMENT_ID", "SEGMENT_NAME"] {
        word(k, String::new());
    }
    v
}

/// The finished command line: placeholders, then the numbers of task and job, then pre-merge names when outputs are merged later.
pub fn command_line(setting: &Setting<'_>, template: &str, v: &Values, job: JobId, pre_merge: &[String]) -> Result<String, EngineError> {
    let text = text::fill(template, v).map_err(|e| EngineError::Internal(format!("task {}: {e}", setting.task.id)))?;
    let text = names::lfn(&text, setting.task.id.0, job.0, 0);
    let finals: Vec<&str> = pre_merge.iter().map(String::as_str).collect();
    Ok(params::pre_merge_text(&text, &finals))
}

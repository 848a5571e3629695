//! Writes one job: names, command line, dictionary, rows.

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, LaneId, QueueId},
    job::{record::JobKind, state::JobState},
    policy::{
        names,
        priority::{self, PriorityView},
        resource::Types,
        share::UNDEFINED,
    },
};
use panda_ops::{
    Ops,
    job::{
        dictionary::{self, DictFile, DictInput},
        priority::Standing,
    },
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
    /// The endpoint that the task's outputs go to.
    pub out: &'a str,
    /// Shown name of the owner.
    pub owner: &'a str,
    /// How the owner stands, for priorities.
    pub standing: Standing,
    /// Seconds of a job; 0 = not stated.
    pub walltime_s: i64,
    /// Scratch space of a job, MB.
    pub disk_mb: i64,
    /// Its run jobs are scouts.
    pub scouts: bool,
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
    /// Whether it is the library.
    pub is_library: bool,
    /// The object store where it lies, of a range's output.
    pub store: Option<i64>,
}

/// A job to be stored.
#[derive(Debug)]
pub struct Made {
    /// The row.
    pub row: JobRow,
    /// Its own document fragment.
    pub doc: String,
    /// Its outputs.
    pub files: Vec<JobFile>,
}

impl Setting<'_> {
    /// The priority of the `n`-th new job of a kind (`spec/engine.md` sections 3.4 and 20.1).
    #[must_use]
    pub fn priority(&self, kind: JobKind, n: i64) -> i64 {
        match kind {
            JobKind::Build => (priority::BUILD + self.standing.offset).max(self.task.priority),
            JobKind::Merge | JobKind::EsMerge => priority::MERGE.max(self.task.priority),
            kind if kind.is_run() && self.scouts => priority::current(&PriorityView {
                scout: true,
                ..self.standing.view(
                    &self.task.label,
                    self.task.processing_type.as_deref().unwrap_or_default(),
                    self.task.priority.max(priority::SCOUT),
                    n,
                )
            }),
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
        lane(ops, self.task, self.types, self.queue.id, label, (cores, ram_mb)).await
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
            processing_type: Some(if kind.is_merge() { "pmerge".into() } else { self.task.processing_type.clone().unwrap_or_default() }),
            resource_type: self.types.of(cores, ram).to_owned(),
            core_count: cores,
            ram_mb: ram,
            disk_mb: if kind == JobKind::Run { self.disk_mb } else { self.plan.disk_mb },
            walltime_s: self.walltime_s,
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
    /// The document fragment that the jobs of a kind, task, queue and memory share; `row` is one of them.
    #[must_use]
    pub fn common(&self, row: &JobRow, runner: &str) -> String {
        let (extra_common, _) = self.extras(row.kind, "", &[], &[]);
        dictionary::common_text(&DictInput { transformation: &self.transformation(runner), extra_common, ..self.input(row) })
    }
    /// A job's own document fragment: its command line, what it reads, what it makes.
    #[must_use]
    pub fn own(&self, row: &JobRow, job_pars: &str, reads: &[Reads], files: &[JobFile]) -> String {
        let (_, extra_own) = self.extras(row.kind, job_pars, reads, files);
        let tokens: Vec<Option<String>> = reads.iter().map(|r| r.store.map(|s| s.to_string())).collect();
        let inputs = reads.iter().zip(&tokens).map(|(r, token)| DictFile {
            lfn: &r.lfn,
            scope: &r.scope,
            guid: r.guid.as_deref(),
            fsize: r.fsize,
            checksum: r.checksum.as_deref(),
            dataset: &r.dataset,
            token: token.as_deref().or(r.local.then_some("local")),
            rse: &self.rse.name,
            ..DictFile::default()
        });
        let outputs = files.iter().map(|f| DictFile {
            lfn: &f.lfn,
            scope: f.scope.as_deref().unwrap_or_default(),
            guid: f.guid.as_deref(),
            dataset: self.dataset_name(f.dataset_id).unwrap_or(&f.lfn),
            // What the task's own jobs read stays at the queue.
            rse: if matches!(f.role, FileRole::Output | FileRole::Log) { self.out } else { &self.rse.name },
            is_log: f.role.is_log(),
            optional: f.optional,
            ..DictFile::default()
        });
        dictionary::own_text(&DictInput {
            job_pars: &self.with_image(row.kind, job_pars),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            extra_own,
            ..self.input(row)
        })
    }
    fn input<'s>(&'s self, row: &'s JobRow) -> DictInput<'s> {
        DictInput {
            task_id: Some(self.task.id.0),
            name: row.name.as_deref().unwrap_or_default(),
            label: &row.label,
            processing_type: row.processing_type.as_deref().unwrap_or_default(),
            queue: &self.queue.name,
            owner: self.owner,
            core_count: row.core_count,
            ram_mb: row.ram_mb,
            disk_mb: row.disk_mb,
            walltime_s: row.walltime_s,
            resource_type: &row.resource_type,
            cloud: &self.queue.site,
            container: if row.kind.is_run() { self.plan.container.as_deref() } else { None },
            transfer_type: self.transfer_type(row.kind),
            use_secrets: self.params.use_secrets == Some(true) && row.kind.is_run(),
            no_looping_check: self.params.no_looping_check == Some(true),
            ..DictInput::default()
        }
    }
    /// The image as an option of our own that official pilots leave alone (`spec/payload_runners.md` section 9.3).
    fn with_image(&self, kind: JobKind, job_pars: &str) -> String {
        match (&self.plan.container, kind.is_run()) {
            (Some(image), true) => format!("{job_pars} --ctrImage={image}"),
            _ => job_pars.to_owned(),
        }
    }
    fn dataset_name(&self, id: Option<i64>) -> Option<&str> {
        let id = id?;
        self.datasets.iter().find(|d| d.id == id).map(|d| d.name.as_str())
    }
}

/// The lane of a task's jobs of a label on a queue, of so many cores and so much memory (MB a job).
pub async fn lane(
    ops: &Ops,
    task: &TaskRow,
    types: &Types,
    queue: QueueId,
    label: &str,
    (cores, ram_mb): (i64, i64),
) -> Result<LaneId, EngineError> {
    let share = task.share_name.as_deref().unwrap_or(UNDEFINED);
    let of = LaneOf { queue, vo: &task.vo, label, share, resource_type: types.of(cores, ram_mb), ram_mb };
    Ok(ops.lane(&of).await?)
}

/// What a job reads of a row of an input.
#[must_use]
pub fn reads_of(f: &TaskFile, stream: &str, dataset: &str) -> Reads {
    Reads {
        stream: stream.to_owned(),
        lfn: f.lfn.clone(),
        scope: f.scope.clone().unwrap_or_else(|| names::scope(&f.lfn)),
        guid: f.guid.clone(),
        fsize: f.fsize,
        checksum: f.checksum.clone(),
        dataset: dataset.to_owned(),
        ..Reads::default()
    }
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

//! Takes jobs that belong to no task (`spec/api_v1.md` section 8, `spec/client.md` section 3.4): checks all of them, brokers those that name no
//! queue, and writes them in batches with dictionary and files.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use panda_access::{Principal, Right, table};
use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::{broker::Need, names},
    queue::resource_type,
};
use panda_store::{
    Batch, IdKind,
    batch::MAX_BATCH_ROWS,
    query::{
        dataset::DatasetFile,
        decision,
        job::{self, JobRow, file::JobFile},
        person::Person,
        queue::{QueueRow, RseRow},
    },
};
use panda_wire::job_spec::{self, Attributes, JobSpec};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    broker::{self, Broker, Place},
    dictionary::{self, DictFile, DictInput},
};
use crate::{Ops, OpsError, dataset::Catalogue};

/// The share of all jobs until shares are configured.
pub const SHARE: &str = "default";
/// Priority of a user's job that states none (`spec/engine.md` section 3.4).
const USER_PRIORITY: i64 = 1_000;
/// Bytes of a submission above which it is decoded off the request's thread.
const BIG: usize = 1 << 18;
/// Longest text kept in a column, characters.
const MAX_NAME: usize = 255;

/// Labels of users' jobs; `panda` is a build job.
const USER_LABELS: &[&str] = &["user", "panda"];
/// Labels that need the production role.
const PRODUCTION_LABELS: &[&str] = &["managed", "test", "prod_test", "ptest", "rc_test", "rc_test2", "rc_alrb", "install"];

/// An accepted job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// `PandaID`.
    pub job_id: JobId,
    /// `jobDefinitionID`, as sent or 0.
    pub definition_id: i64,
    /// `jobsetID`, as sent or the first job of the submission.
    pub jobset_id: i64,
}

impl Submitted {
    /// `[PandaID, jobDefinitionID, {"jobsetID": n}]`, as clients read it.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!([self.job_id.0, self.definition_id, {"jobsetID": self.jobset_id}])
    }
}

/// Submits the text of `job/submit`; one answer a job, in order. All jobs are checked before the first one is written.
pub async fn submit(ops: &Ops, who: &Principal, jobs: String) -> Result<Vec<Submitted>, OpsError> {
    table::allowed(Right::JobSubmit, Some(who), None)?;
    let decoded = if jobs.len() > BIG {
        tokio::task::spawn_blocking(move || job_spec::decode(&jobs))
            .await
            .map_err(|e| OpsError::Internal(format!("decoding stopped: {e}")))?
    } else {
        job_spec::decode(&jobs)
    };
    submit_specs(ops, who, &decoded.map_err(|e| OpsError::refused(e.to_string()))?).await
}

/// Submits decoded jobs.
pub async fn submit_specs(ops: &Ops, who: &Principal, specs: &[JobSpec]) -> Result<Vec<Submitted>, OpsError> {
    if specs.is_empty() {
        return Err(OpsError::refused("no job was given"));
    }
    let person = ops.person(who).await?;
    let mut sub = Submission {
        ops,
        vo: vo(ops, who, &specs[0])?,
        broker: Broker::new(ops).await?,
        catalogue: Catalogue::new(ops, person.id),
        owner: person,
        now_us: ops.now().0,
    };
    let mut checked = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let job = sub.check(who, spec).await;
        checked.push(job.map_err(|e| at(i, e))?);
    }
    sub.write(checked).await
}

fn at(index: usize, e: OpsError) -> OpsError {
    match e {
        OpsError::Refused { code, message } => OpsError::Refused { code, message: format!("job {index}: {message}") },
        other => other,
    }
}

/// The caller's VO; without one the configured one that the first job names.
fn vo(ops: &Ops, who: &Principal, spec: &JobSpec) -> Result<String, OpsError> {
    if let Some(vo) = &who.vo {
        return Ok(vo.clone());
    }
    let asked = string(&spec.attributes, "VO").to_lowercase();
    let known = ops.options.vos.contains(&asked);
    let choices = || ops.options.vos.join(", ");
    known
        .then_some(asked)
        .ok_or_else(|| OpsError::refused(format!("your identity names no VO and VO of the job is none of: {}", choices())))
}

struct Submission<'a> {
    ops: &'a Ops,
    vo: String,
    owner: Arc<Person>,
    broker: Broker,
    catalogue: Catalogue<'a>,
    now_us: i64,
}

/// A job that passed the checks.
struct Checked<'s> {
    spec: &'s JobSpec,
    label: &'s str,
    need: Need,
    brokered: bool,
    place: Place,
    files: Vec<File<'s>>,
}

struct File<'s> {
    role: FileRole,
    spec: &'s Attributes,
    lfn: &'s str,
    dataset: &'s str,
    /// The catalogue's row of an input, if its data set is registered here.
    known: Option<DatasetFile>,
    /// The catalogue's data set of an output.
    dataset_id: Option<i64>,
}

impl Submission<'_> {
    async fn check<'s>(&mut self, who: &Principal, spec: &'s JobSpec) -> Result<Checked<'s>, OpsError> {
        let a = &spec.attributes;
        let label = Some(string(a, "prodSourceLabel")).filter(|l| !l.is_empty()).unwrap_or("user");
        if PRODUCTION_LABELS.contains(&label) {
            table::allowed(Right::JobSubmitManaged, Some(who), None)?;
        } else if !USER_LABELS.contains(&label) {
            return Err(OpsError::refused(format!("prodSourceLabel `{label}` is not possible here; use user or managed")));
        }
        if string(a, "transformation").is_empty() {
            return Err(OpsError::refused("transformation is missing; give the address of the script to run"));
        }
        let need = need(a);
        let named = match need.only.first() {
            Some(name) => {
                let unknown =
                    || OpsError::refused(format!("queue `{name}` (computingSite) does not exist; `panda queue list` shows what there is"));
                Some(self.broker.snapshot().by_name.get(name).ok_or_else(unknown)?.id)
            }
            None => None,
        };
        let place = match (self.broker.place(&need), named) {
            (Place::Never(why), _) => return Err(OpsError::refused(why)),
            // Who names a queue that takes nothing now waits there.
            (Place::Later(_), Some(queue)) => Place::Queue(queue),
            (place, _) => place,
        };
        let mut files = Vec::with_capacity(spec.files.len());
        for f in &spec.files {
            files.extend(self.file(f).await?);
        }
        unique(&files)?;
        Ok(Checked { spec, label, brokered: need.only.is_empty(), need, place, files })
    }
    /// A file of a job; None for a pseudo input, which no pilot reads.
    async fn file<'s>(&mut self, f: &'s Attributes) -> Result<Option<File<'s>>, OpsError> {
        let lfn = string(f, "lfn");
        let role = match string(f, "type") {
            "input" => FileRole::Input,
            "output" => FileRole::Output,
            "log" => FileRole::Log,
            "pseudo_input" => return Ok(None),
            other => return Err(OpsError::refused(format!("file `{lfn}`: type must be input, output or log, got `{other}`"))),
        };
        let keys: &[&str] = if role == FileRole::Input { &["dataset", "prodDBlock"] } else { &["destinationDBlock", "dataset"] };
        let dataset = keys.iter().map(|k| string(f, k)).find(|d| !d.is_empty()).unwrap_or_default();
        // `$PANDAID` and the like are filled in when the number is known; they are no danger to shells until then.
        let plain = lfn.replace("$PANDAID", "0").replace("$JOBSETID", "0");
        if let Some(problem) = names::problem(&plain) {
            return Err(OpsError::refused(problem));
        }
        let mut file = File { role, spec: f, lfn, dataset, known: None, dataset_id: None };
        if role == FileRole::Input {
            file.known = self.catalogue.input(&self.vo, dataset, lfn).await?;
        } else if !dataset.is_empty() {
            file.dataset_id = Some(self.catalogue.output(&self.vo, dataset).await?);
        }
        Ok(Some(file))
    }
    async fn write(mut self, jobs: Vec<Checked<'_>>) -> Result<Vec<Submitted>, OpsError> {
        let ids = self.ops.store.ids(IdKind::Job, jobs.len()).await?;
        let n_files = jobs.iter().map(|j| j.files.len()).sum::<usize>();
        // A common document a job at most.
        let mut rows = self.ops.store.ids(IdKind::Row, n_files + jobs.len()).await?.into_iter();
        let first = ids.first().copied().unwrap_or_default();
        let mut commons: HashMap<String, i64> = HashMap::new();
        let (mut batch, mut decisions) = (Batch::new(), Batch::new());
        let mut answer = Vec::with_capacity(jobs.len());
        for (job, id) in jobs.iter().zip(&ids) {
            // Job, document, event, decision, perhaps a common document; and the files.
            if batch.len() + decisions.len() + job.files.len() + 5 > MAX_BATCH_ROWS && !batch.is_empty() {
                self.apply(&mut batch, &mut decisions).await?;
            }
            answer.push(self.add(&mut batch, &mut decisions, job, JobId(*id), first, &mut rows, &mut commons).await?);
        }
        self.apply(&mut batch, &mut decisions).await?;
        Ok(answer)
    }
    async fn apply(&mut self, batch: &mut Batch, decisions: &mut Batch) -> Result<(), OpsError> {
        let mut whole = std::mem::take(batch);
        whole.append(std::mem::take(decisions));
        Ok(self.ops.store.apply(whole).await?)
    }
    #[expect(clippy::too_many_arguments, reason = "one job, and what the jobs of a submission share")]
    async fn add(
        &self,
        batch: &mut Batch,
        decisions: &mut Batch,
        job: &Checked<'_>,
        id: JobId,
        first: i64,
        rows: &mut std::vec::IntoIter<i64>,
        commons: &mut HashMap<String, i64>,
    ) -> Result<Submitted, OpsError> {
        let a = &job.spec.attributes;
        let jobset = a.int("jobsetID").filter(|n| *n > 0).unwrap_or(first);
        let fill = Fill { job: id.0, jobset };
        let snapshot = self.broker.snapshot();
        let queue = if let Place::Queue(q) = &job.place { snapshot.by_id.get(q).map(Arc::as_ref) } else { None };
        let rse = queue.and_then(|q| snapshot.rses.get(&q.rse_id)).map(Arc::as_ref);
        let row = self.row(job, id, &fill, queue).await?;
        let files: Vec<JobFile> =
            job.files.iter().zip(1..).map(|(f, seq)| f.row(rows.next().unwrap_or_default(), id, seq, &fill)).collect();
        let (common, own) = self.dictionary(job, &row, &files, &fill, queue, rse);
        let common_id = match commons.get(&common) {
            Some(id) => *id,
            None => {
                let id = rows.next().unwrap_or_default();
                job::transition::add_common(batch, id, None, &common);
                commons.insert(common, id);
                id
            }
        };
        job::transition::add(batch, &row, common_id, &own, Actor::Client)?;
        files.iter().for_each(|f| job::file::add(batch, f));
        if job.brokered || queue.is_none() {
            decision::set(decisions, id.0, broker::STAGE, self.now_us, &broker::record(&job.place, snapshot).to_string());
        }
        Ok(Submitted { job_id: id, definition_id: a.int("jobDefinitionID").unwrap_or(0), jobset_id: jobset })
    }
    async fn row(&self, job: &Checked<'_>, id: JobId, fill: &Fill, queue: Option<&QueueRow>) -> Result<JobRow, OpsError> {
        let a = &job.spec.attributes;
        let (cores, ram) = (job.need.cores, job.need.ram_mb);
        let kind = resource_type(cores, ram);
        let lane = match queue {
            Some(q) => Some(self.ops.lane(q.id, kind, job.label, SHARE, ram).await?),
            None => None,
        };
        let attempt = a.int("attemptNr").unwrap_or(0).max(0);
        let usual = if USER_LABELS.contains(&job.label) { USER_PRIORITY } else { 0 };
        let named = |key: &str| Some(string(a, key)).filter(|t| !t.is_empty());
        Ok(JobRow {
            id,
            task_id: None,
            state: if queue.is_some() { JobState::Activated } else { JobState::Defined },
            sub_state: None,
            kind: JobKind::Standalone,
            queue_id: queue.map(|q| q.id),
            lane_id: lane,
            neg_priority: -a.int("currentPriority").or_else(|| a.int("assignedPriority")).unwrap_or(usual),
            attempt,
            max_attempt: match a.int("maxAttempt") {
                None | Some(-1) => attempt,
                Some(most) if most <= attempt => attempt + 2,
                Some(most) => most,
            },
            vo: self.vo.clone(),
            label: job.label.to_owned(),
            person_id: self.owner.id,
            name: named("jobName").map(|n| cut(&fill.fill(n)).into_owned()),
            processing_type: named("processingType").map(|p| cut(p).into_owned()),
            resource_type: kind.to_owned(),
            core_count: cores,
            ram_mb: ram,
            disk_mb: job.need.disk_mb,
            walltime_s: job.need.walltime_s,
            command: None,
            debug: false,
            host: None,
            batch_id: None,
            wait_job: None,
            trans_exit_code: None,
            pilot_error_code: None,
            exe_error_code: None,
            sup_error_code: None,
            diag: None,
            created_us: self.now_us,
            modified_us: self.now_us,
            state_us: self.now_us,
            started_us: None,
            ended_us: None,
            rev: 0,
        })
    }
    /// The common and own document.
    fn dictionary(
        &self,
        job: &Checked<'_>,
        row: &JobRow,
        files: &[JobFile],
        fill: &Fill,
        queue: Option<&QueueRow>,
        rse: Option<&RseRow>,
    ) -> (String, String) {
        let a = &job.spec.attributes;
        let job_pars = fill.fill(string(a, "jobParameters"));
        let here = rse.map(|r| r.name.as_str()).unwrap_or_default();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (f, r) in job.files.iter().zip(files) {
            let at = f.known.as_ref().and_then(|k| k.rse.as_deref()).unwrap_or(here);
            let tokens = if f.role == FileRole::Input { "prodDBlockToken" } else { "destinationDBlockToken" };
            let file = DictFile {
                lfn: &r.lfn,
                scope: r.scope.as_deref().unwrap_or_default(),
                guid: r.guid.as_deref(),
                fsize: r.fsize,
                checksum: r.checksum.as_deref(),
                dataset: f.dataset,
                token: Some(string(f.spec, tokens)).filter(|t| !t.is_empty()),
                rse: at,
                is_log: f.role == FileRole::Log,
                optional: false,
            };
            if f.role == FileRole::Input { inputs.push(file) } else { outputs.push(file) }
        }
        let input = DictInput {
            task_id: None,
            name: row.name.as_deref().unwrap_or_default(),
            label: job.label,
            processing_type: row.processing_type.as_deref().unwrap_or_default(),
            transformation: string(a, "transformation"),
            job_pars: &job_pars,
            inputs,
            outputs,
            queue: queue.map(|q| q.name.as_str()).unwrap_or_default(),
            owner: &self.owner.name,
            core_count: row.core_count,
            ram_mb: row.ram_mb,
            disk_mb: row.disk_mb,
            walltime_s: row.walltime_s,
            cpu_s: a.int("maxCpuCount").unwrap_or(0),
            resource_type: &row.resource_type,
            definition_id: a.int("jobDefinitionID").unwrap_or(0),
            jobset_id: Some(fill.jobset),
            req_id: a.int("reqID"),
            cloud: queue.map(|q| q.site.as_str()).unwrap_or_default(),
            release: string(a, "AtlasRelease"),
            homepackage: string(a, "homepackage"),
            cmt_config: string(a, "cmtConfig"),
            transfer_type: string(a, "transferType"),
            destination_se: string(a, "destinationSE"),
            container: Some(string(a, "container_name")).filter(|c| !c.is_empty()),
            ..DictInput::default()
        };
        (dictionary::common_text(&input), dictionary::own_text(&input))
    }
}

impl File<'_> {
    fn row(&self, id: i64, job_id: JobId, seq: i64, fill: &Fill) -> JobFile {
        let known = self.known.as_ref();
        let own = |key: &str| Some(string(self.spec, key)).filter(|t| !t.is_empty()).map(str::to_owned);
        let scope = known.map(|k| k.scope.clone()).or_else(|| own("scope")).unwrap_or_else(|| scope_of(self.dataset, self.lfn));
        let is_input = self.role == FileRole::Input;
        let guid = own("GUID").or_else(|| known.and_then(|k| k.guid.clone()));
        JobFile {
            id,
            job_id,
            task_id: None,
            dataset_id: self.dataset_id,
            role: self.role,
            seq,
            lfn: fill.fill(self.lfn).into_owned(),
            scope: Some(scope),
            // The pilot does not make a log's GUID.
            guid: guid.or_else(|| (self.role == FileRole::Log).then(|| Uuid::new_v4().to_string())),
            fsize: known.and_then(|k| k.fsize).or_else(|| self.spec.int("fsize").filter(|_| is_input)),
            checksum: known.and_then(|k| k.checksum.clone()).or_else(|| own("checksum").filter(|_| is_input)),
            surl: known.and_then(|k| k.surl.clone()),
            n_events: None,
            state: if is_input { FileState::Ready } else { FileState::Running },
            optional: false,
            used_by: None,
        }
    }
}

/// Numbers that stand for placeholders (`spec/engine.md` section 3.4).
struct Fill {
    job: i64,
    jobset: i64,
}

impl Fill {
    fn fill<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !text.contains('$') {
            return Cow::Borrowed(text);
        }
        let (job, jobset) = (self.job, self.jobset);
        let filled = text.replace("$ORIGINPANDAID", &job.to_string()).replace("$PANDAID", &format!("{job:05}"));
        Cow::Owned(filled.replace("$JOBSETID", &format!("{jobset:06}")))
    }
}

fn scope_of(dataset: &str, lfn: &str) -> String {
    match names::unscoped(dataset) {
        (Some(scope), _) => scope.to_owned(),
        (None, "") => names::scope(lfn),
        (None, name) => names::scope(name),
    }
}

fn need(a: &Attributes) -> Need {
    let mega = |value: &str, unit: &str| {
        let n = a.int(value).unwrap_or(0).max(0);
        if string(a, unit).to_ascii_uppercase().starts_with('G') { n.saturating_mul(1_000) } else { n }
    };
    let site = string(a, "computingSite");
    let container = !string(a, "container_name").is_empty();
    Need {
        only: if site.is_empty() { Vec::new() } else { vec![site.to_owned()] },
        never: Vec::new(),
        cores: a.int("coreCount").unwrap_or(1).max(1),
        ram_mb: mega("minRamCount", "minRamUnit"),
        disk_mb: mega("maxDiskCount", "maxDiskUnit"),
        walltime_s: a.int("maxWalltime").unwrap_or(0).max(0),
        container,
        native: None,
    }
}

fn unique(files: &[File<'_>]) -> Result<(), OpsError> {
    let mut seen = std::collections::HashSet::with_capacity(files.len());
    match files.iter().find(|f| !seen.insert(f.lfn)) {
        Some(f) => Err(OpsError::refused(format!("file `{}` stands twice in the list of files", f.lfn))),
        None if files.iter().filter(|f| f.role == FileRole::Log).count() > 1 => Err(OpsError::refused("there is more than one log file")),
        None => Ok(()),
    }
}

fn string<'a>(a: &'a Attributes, key: &str) -> &'a str {
    a.0.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => Cow::Borrowed(&text[..end]),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;

//! Takes jobs that belong to no task (`spec/api_v1.md` section 8, `spec/client.md` section 3.4): checks all of them, brokers those that name no
//! queue, and writes them in batches with dictionary and files.

mod rows;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use panda_access::{Principal, Right, table};
use panda_core::{
    file::FileRole,
    id::JobId,
    machine::Actor,
    policy::{
        broker::Needs,
        names,
        priority::{self as policy, PriorityView},
        resource::Types,
        retention::named_files,
    },
};
use panda_store::{
    Batch, IdKind,
    batch::MAX_BATCH_ROWS,
    query::{
        dataset::DatasetFile,
        decision,
        job::{self, file::JobFile},
        person::Person,
    },
};
use panda_wire::job_spec::{self, Attributes, JobSpec};
use serde_json::{Value, json};

use self::rows::{Fill, need, string};
use super::priority::{self, Standing};
use crate::{
    Ops, OpsError,
    broker::{Broker, Place, record},
    dataset::Catalogue,
    limit::cap::{self, Whose},
    retention::uses,
    statistics::{self, Made},
};

/// Bytes of a submission above which it is decoded off the request's thread.
const BIG: usize = 1 << 18;

/// Labels of users' jobs; `panda` is a build job.
pub(crate) const USER_LABELS: &[&str] = &["user", "panda"];
/// Labels that need the production role.
pub(crate) const PRODUCTION_LABELS: &[&str] = &["managed", "test", "prod_test", "ptest", "rc_test", "rc_test2", "rc_alrb", "install"];

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
        vo: vo(ops, who, &specs[0]).await?,
        broker: Broker::new(ops).await?,
        catalogue: Catalogue::new(ops, person.id),
        owner: person,
        standings: Vec::new(),
        types: ops.resource_types().await?,
        now_us: ops.now().0,
    };
    let mut checked = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let job = sub.check(who, spec, i).await;
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
async fn vo(ops: &Ops, who: &Principal, spec: &JobSpec) -> Result<String, OpsError> {
    if let Some(vo) = &who.vo {
        return Ok(vo.clone());
    }
    let asked = string(&spec.attributes, "VO").to_lowercase();
    let vos = ops.vos().await?;
    if vos.contains(&asked) {
        return Ok(asked);
    }
    Err(OpsError::refused(format!("your identity names no VO and VO of the job is none of: {}", vos.list())))
}

struct Submission<'a> {
    ops: &'a Ops,
    vo: String,
    owner: Arc<Person>,
    broker: Broker,
    catalogue: Catalogue<'a>,
    types: Arc<Types>,
    /// How the owner stands for a label and working group, with the number of jobs of that kind so far.
    standings: Vec<(String, String, Standing, i64)>,
    now_us: i64,
}

/// A job that passed the checks.
struct Checked<'s> {
    spec: &'s JobSpec,
    label: &'s str,
    need: Needs,
    brokered: bool,
    place: Place,
    files: Vec<File<'s>>,
    priority: i64,
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
    async fn check<'s>(&mut self, who: &Principal, spec: &'s JobSpec, index: usize) -> Result<Checked<'s>, OpsError> {
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
        let priority = self.priority(a, label, index == 0).await?;
        let need = self.broker.complete(need(a, &self.vo, label, self.owner.id, &self.types));
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
        Ok(Checked { spec, label, brokered: need.only.is_empty(), need, place, files, priority })
    }
    /// The priority of the next job of this label (`spec/engine.md` section 3.4). A cap that is reached refuses the submission: such jobs have no task
    /// that could wait.
    async fn priority(&mut self, a: &Attributes, label: &str, first: bool) -> Result<i64, OpsError> {
        let group = string(a, "workingGroup");
        if first {
            let whose = Whose { person: self.owner.id, vo: &self.vo, group };
            if let Some(hold) = cap::ask(self.ops, &whose).await? {
                return Err(OpsError::refused(hold.reason));
            }
        }
        let known = self.standings.iter().position(|(l, g, ..)| l == label && g == group);
        let at = match known {
            Some(at) => at,
            None => {
                let standing = priority::standing(self.ops, &self.owner, &self.vo, label, group).await?;
                self.standings.push((label.to_owned(), group.to_owned(), standing, 0));
                self.standings.len() - 1
            }
        };
        let (_, _, standing, n) = &mut self.standings[at];
        let usual = if USER_LABELS.contains(&label) { policy::USER } else { 0 };
        let assigned = a.int("assignedPriority").or_else(|| a.int("currentPriority")).unwrap_or(usual);
        let view = standing.view(label, string(a, "processingType"), assigned, *n);
        *n += 1;
        Ok(policy::current(&PriorityView { express: string(a, "specialHandling").split(',').any(|w| w.trim() == "express"), ..view }))
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
        let named: BTreeSet<&str> = jobs.iter().flat_map(|j| named_files(string(&j.spec.attributes, "jobParameters"))).collect();
        named.iter().for_each(|name| uses::touch(self.ops, &mut batch, name));
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
        if let Some(lane) = row.lane_id {
            let cores = row.core_count.max(1);
            let made = Made { lane, person: row.person_id, vo: &row.vo, label: &row.label, state: row.state, n: 1, cores };
            statistics::generated(self.ops, &made);
        }
        files.iter().for_each(|f| job::file::add(batch, f));
        uses::mention(batch, id.0, string(a, "jobParameters"));
        if job.brokered || queue.is_none() {
            let doc = record::of_job(&job.place, self.broker.decision(&job.need), snapshot);
            decision::set(decisions, id.0, record::STAGE, self.now_us, &doc.to_string());
        }
        Ok(Submitted { job_id: id, definition_id: a.int("jobDefinitionID").unwrap_or(0), jobset_id: jobset })
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

#[cfg(test)]
mod tests;

//! The rows and documents of one submitted job: placeholders, scopes, columns, dictionary.

use std::borrow::Cow;

use panda_core::{
    file::{FileRole, FileState},
    id::JobId,
    job::{record::JobKind, state::JobState},
    policy::{
        broker::{Needs, Ram},
        names,
        resource::Types,
        share::Facts,
    },
};
use panda_store::query::{
    job::{JobRow, file::JobFile},
    queue::{QueueRow, RseRow},
};
use panda_wire::job_spec::Attributes;
use serde_json::Value;
use uuid::Uuid;

use super::{Checked, File, Submission};
use crate::{
    OpsError,
    job::dictionary::{self, DictFile, DictInput},
    queue::LaneOf,
    share,
};

/// Labels whose jobs get two attempts more than they had when they ask for fewer (`spec/engine.md` sections 3.4 and 20.1).
const LABELS_TRIED_AGAIN: &[&str] = &["user", "panda", "ptest"];
/// Longest text kept in a column, characters.
const MAX_NAME: usize = 255;

impl Submission<'_> {
    pub(super) async fn row(&self, job: &Checked<'_>, id: JobId, fill: &Fill, queue: Option<&QueueRow>) -> Result<JobRow, OpsError> {
        let a = &job.spec.attributes;
        let (cores, ram) = (job.need.cores, job.need.ram.of(job.need.cores));
        let kind = self.types.of(cores, ram);
        let lane = match queue {
            Some(q) => {
                let facts = Facts {
                    vo: &self.vo,
                    label: job.label,
                    working_group: string(a, "workingGroup"),
                    campaign: string(a, "campaign"),
                    processing_type: string(a, "processingType"),
                    transformation: string(a, "transformation"),
                    resource_type: kind,
                    user: &self.owner.name,
                };
                let share = share::of(self.ops, &facts).await?;
                let of = LaneOf { queue: q.id, vo: &self.vo, label: job.label, share: &share, resource_type: kind, ram_mb: ram };
                Some(self.ops.lane(&of).await?)
            }
            None => None,
        };
        let attempt = a.int("attemptNr").unwrap_or(0).max(0);
        let named = |key: &str| Some(string(a, key)).filter(|t| !t.is_empty());
        Ok(JobRow {
            id,
            task_id: None,
            state: if queue.is_some() { JobState::Activated } else { JobState::Defined },
            sub_state: None,
            kind: JobKind::Standalone,
            queue_id: queue.map(|q| q.id),
            lane_id: lane,
            neg_priority: -job.priority,
            attempt,
            max_attempt: match a.int("maxAttempt") {
                None | Some(-1) => attempt,
                Some(most) if most <= attempt && LABELS_TRIED_AGAIN.contains(&job.label) => attempt + 2,
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
        })
    }
    /// The common and own document.
    pub(super) fn dictionary(
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
    pub(super) fn row(&self, id: i64, job_id: JobId, seq: i64, fill: &Fill) -> JobFile {
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
            attempt: 0,
            used_by: None,
        }
    }
}

/// Numbers that stand for placeholders (`spec/engine.md` section 3.4).
pub(super) struct Fill {
    pub job: i64,
    pub jobset: i64,
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

/// What a job needs of a queue, as its attributes say.
pub(super) fn need(a: &Attributes, vo: &str, label: &str, person: i64, types: &Types) -> Needs {
    let mega = |value: &str, unit: &str| {
        let n = a.int(value).unwrap_or(0).max(0);
        if string(a, unit).to_ascii_uppercase().starts_with('G') { n.saturating_mul(1_000) } else { n }
    };
    let site = string(a, "computingSite");
    let (cores, ram_mb) = (a.int("coreCount").unwrap_or(1).max(1), mega("minRamCount", "minRamUnit"));
    Needs {
        vo: vo.to_owned(),
        label: label.to_owned(),
        processing_type: string(a, "processingType").to_owned(),
        person,
        only: if site.is_empty() { Vec::new() } else { vec![site.to_owned()] },
        resource_type: types.of(cores, ram_mb).to_owned(),
        cores,
        ram: Ram::job(ram_mb),
        disk_mb: mega("maxDiskCount", "maxDiskUnit"),
        walltime_s: a.int("maxWalltime").unwrap_or(0).max(0),
        image: Some(string(a, "container_name")).filter(|c| !c.is_empty()).map(str::to_owned),
        ..Needs::default()
    }
}

pub(super) fn string<'a>(a: &'a Attributes, key: &str) -> &'a str {
    a.0.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => Cow::Borrowed(&text[..end]),
        None => Cow::Borrowed(text),
    }
}

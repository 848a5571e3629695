//! What the engine itself changed of a task since it was submitted: a JSON object beside the parameters (`task_doc.adjust`). The parameters
//! stay as they were given, so that people see what they asked for and a new submission starts from there.

use panda_core::{
    policy::split::limits::Cpu,
    setting::{
        Values,
        task::{ATTEMPTS, RAM_MB as DEFAULT_RAM_MB},
    },
};
use panda_wire::TaskParameters;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{MAX_ATTEMPT, Measured, Plan, RAM_MB, measured};

/// Forgets a part of what was measured.
type Forget = fn(&mut Measured);

/// Parameters whose requirements are measured, and what of the measurement they stand for.
const MEASURED_TOO: &[(&str, Forget)] = &[
    ("ramCount", |m| m.ram_mb = None),
    ("walltime", |m| m.walltime_ms = None),
    ("cpuTime", |m| m.cpu_ms_per_event = None),
    ("outDiskCount", |m| (m.out_kb_per_event, m.out_kb_per_mb, m.out_mb) = (None, None, None)),
    ("workDiskCount", |m| m.work_mb = None),
    ("ioIntensity", |m| m.io_kb_s = None),
    ("nGBPerJob", |m| m.max_bytes = None),
];

/// Forgets what was measured of a parameter.
fn forget(m: &mut Measured, parameter: &str) {
    MEASURED_TOO.iter().filter(|(name, _)| *name == parameter).for_each(|(_, forget)| forget(m));
}

/// The changes, and the defaults that held at submission. A member that is absent changes nothing. Every change of it is a new revision of the task's document (`task.doc_rev`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adjust {
    /// Attempts of each file, where the task says nothing: what held for its VO and label when it was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_attempts: Option<i64>,
    /// Memory for each core, MB, where the task says nothing: likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_ram_mb: Option<i64>,
    /// Memory, MB, in the task's own unit (for each core or for the job); counts when it is more than the task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram_mb: Option<i64>,
    /// CPU time as measured, milliseconds for each event on a core of power 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_per_event: Option<i64>,
    /// Wall time of a job, seconds; counts when it is more than the task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walltime_s: Option<i64>,
    /// Most files of a job; counts when it is fewer than the task's (MF as the retry module sets it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_files: Option<usize>,
    /// Most input bytes of a job; counts when it is less than the task's (NG as the retry module sets it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<i64>,
    /// Files of a job before it was made smaller (RM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_files: Option<usize>,
    /// Bytes of a job before it was made smaller (RM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bytes: Option<i64>,
    /// Holds that a person released, by stage: they do not hold the task again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<String>,
    /// Files that its scouts take, once they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scouts: Option<i64>,
    /// Its scouts were assessed: whatever came of it, it makes no others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub scouted: bool,
    /// What was measured of its jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Parameters that a person changed since: what is measured of them later does not go before what the person said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stated: Vec<String>,
    /// Its jobs were too short: numbers of files and bytes a job are dropped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wide: bool,
    /// A person told it not to wait for scouts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub avalanche: bool,
    /// Priority that production stated at submission, where it is more than a user may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// It was retried beyond its goal: who did so wants the rest, too, so that the goal does not end it again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub past_goal: bool,
    /// Queues that a person sent it to (`reassign`), instead of those of its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    /// Cloud that a person sent it to (`reassign`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
}

impl Adjust {
    /// Reads a stored object; none or a damaged one changes nothing.
    ///
    /// # Errors
    /// The text is no such object.
    pub fn parse(text: Option<&str>) -> Result<Self, String> {
        text.map_or_else(|| Ok(Self::default()), |text| serde_json::from_str(text).map_err(|e| e.to_string()))
    }

    /// As it is stored.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// What differs for a VO and label from what this program does with a task that says nothing.
    #[must_use]
    pub fn of_defaults(values: &Values, vo: &str, label: &str) -> Self {
        let other = |setting, own: i64| Some(values.int(setting, vo, label)).filter(|n| *n != own);
        Self { default_attempts: other(&ATTEMPTS, MAX_ATTEMPT), default_ram_mb: other(&DEFAULT_RAM_MB, RAM_MB), ..Self::default() }
    }

    /// The same after a person changed these parameters: what a person says goes before what the engine changed of the same thing.
    #[must_use]
    pub fn after(&self, changed: &Map<String, Value>) -> Self {
        let mut after = self.clone();
        after.stated.retain(|s| !changed.contains_key(s));
        let new = MEASURED_TOO.iter().filter_map(|(name, _)| changed.get(*name).map(|value| (*name, value)));
        for (name, value) in new {
            after.measured.iter_mut().for_each(|m| forget(m, name));
            // Who takes a value back wants what is measured.
            if !matches!(value, Value::Null) && value.as_f64() != Some(0.0) {
                after.stated.push(name.to_owned());
            }
        }
        if changed.contains_key("ramCount") {
            after.ram_mb = None;
        }
        if changed.contains_key("walltime") {
            after.walltime_s = None;
        }
        if changed.contains_key("cpuTime") {
            after.cpu_ms_per_event = None;
        }
        if changed.contains_key("currentPriority") || changed.contains_key("taskPriority") {
            after.priority = None;
        }
        if changed.contains_key("goal") {
            after.past_goal = false;
        }
        if ["nFilesPerJob", "nMaxFilesPerJob", "nGBPerJob"].iter().any(|k| changed.contains_key(*k)) {
            (after.max_files, after.max_bytes, after.first_files, after.first_bytes) = (None, None, None, None);
            after.wide = false;
            after.measured.iter_mut().for_each(|m| forget(m, "nGBPerJob"));
        }
        after
    }

    /// What was measured, without what a person stated since the task was submitted.
    #[must_use]
    pub fn keeping_stated(&self, mut m: Measured) -> Measured {
        self.stated.iter().for_each(|name| forget(&mut m, name));
        m
    }

    /// Whether a hold of this stage was released by a person.
    #[must_use]
    pub fn is_released(&self, stage: &str) -> bool {
        self.released.iter().any(|s| s == stage)
    }

    pub(super) fn apply(&self, p: &TaskParameters, plan: &mut Plan) {
        if let Some(n) = self.default_attempts.filter(|_| states_no_attempts(p) && !plan.behaviour.no_auto_retry) {
            plan.max_attempt = n;
        }
        if let Some(mb) = self.default_ram_mb.filter(|_| p.ram_count.is_none_or(|n| n <= 0)) {
            plan.needs.ram.mb = mb;
            plan.ram_mb = plan.needs.ram.of(plan.cores);
        }
        if !self.sites.is_empty() {
            plan.sites.clone_from(&self.sites);
            plan.not_sites.retain(|s| !self.sites.contains(s));
        }
        if self.cloud.is_some() {
            plan.needs.cloud.clone_from(&self.cloud);
        }
        if let Some(m) = &self.measured {
            m.apply(plan);
        }
        if self.wide {
            measured::widen(plan);
        }
        if let Some(mb) = self.ram_mb.filter(|mb| *mb > plan.needs.ram.mb) {
            plan.needs.ram.mb = mb;
            plan.ram_mb = plan.needs.ram.of(plan.cores);
        }
        if let Some(ms) = self.cpu_ms_per_event.filter(|ms| *ms > 0) {
            plan.estimate.cpu = Cpu::PerEvent(ms);
        }
        if let Some(s) = self.walltime_s.filter(|s| *s > plan.walltime_s) {
            plan.walltime_s = s;
        }
        if let Some(n) = self.max_files.filter(|n| *n < plan.limits.max_files) {
            plan.limits.max_files = n.max(1);
        }
        if let Some(bytes) = self.max_bytes.filter(|b| plan.limits.bytes.is_none_or(|own| *b < own)) {
            plan.limits.bytes = Some(bytes.max(1));
        }
    }
}

/// Whether the task leaves it to this server how often its files are tried.
fn states_no_attempts(p: &TaskParameters) -> bool {
    let none = |n: Option<i64>| n.is_none_or(|n| n <= 0);
    none(p.max_attempt) && none(p.max_attempt_es_job)
}

//! What the engine itself changed of a task since it was submitted: a JSON object beside the parameters (`task_doc.adjust`). The parameters
//! stay as they were given, so that people see what they asked for and a new submission starts from there.

use panda_core::policy::split::limits::Cpu;
use serde::{Deserialize, Serialize};

use super::Plan;

/// The changes. A member that is absent changes nothing. Every change of it is a new revision of the task's document (`task.doc_rev`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adjust {
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
    /// A person told it not to wait for scouts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub avalanche: bool,
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

    /// Whether a hold of this stage was released by a person.
    #[must_use]
    pub fn is_released(&self, stage: &str) -> bool {
        self.released.iter().any(|s| s == stage)
    }

    pub(super) fn apply(&self, plan: &mut Plan) {
        if !self.sites.is_empty() {
            plan.sites.clone_from(&self.sites);
            plan.not_sites.retain(|s| !self.sites.contains(s));
        }
        if self.cloud.is_some() {
            plan.needs.cloud.clone_from(&self.cloud);
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

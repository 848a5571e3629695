//! What was measured of a task's jobs, as it is stored with what else the engine changed ([`super::Adjust`]), and what it changes of the plan.

use panda_core::policy::{
    scout::{exhaust::WIDE_FILES, measure},
    split::limits::Cpu,
};
use serde::{Deserialize, Serialize};

use super::Plan;

/// Requirements as measured (`spec/engine.md` section 7.1); a member that is absent changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Finished files of the task when it was measured last.
    pub at_files: i64,
    /// CPU time, HEP-score milliseconds for an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms_per_event: Option<i64>,
    /// Memory, MB in the task's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram_mb: Option<i64>,
    /// Output, kB for an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_kb_per_event: Option<i64>,
    /// Output, kB for an MB of input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_kb_per_mb: Option<i64>,
    /// Output of a job without input, MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_mb: Option<i64>,
    /// Wall time, milliseconds for an MB of input; of a job without input, altogether. Counts when it is more than the task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walltime_ms: Option<i64>,
    /// Work directory, MB; counts when it is more than the task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_mb: Option<i64>,
    /// Data read and written, kB a second and core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_kb_s: Option<i64>,
    /// Traffic with the local disk, kB a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_io_kb_s: Option<i64>,
    /// Most input bytes of a job, from TN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<i64>,
    /// Memory of a merge job, MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_ram_mb: Option<i64>,
    /// Wall time of a merge job, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_walltime_s: Option<i64>,
}

impl Measured {
    /// What was measured; what it does not tell stays as it was before.
    #[must_use]
    pub fn then(&self, at_files: i64, m: &measure::Measured, merges: (Option<measure::By>, Option<measure::By>)) -> Self {
        let or = |new: Option<measure::By>, old: Option<i64>| new.map(|by| by.n).or(old);
        Self {
            at_files,
            cpu_ms_per_event: or(m.cpu_ms_per_event, self.cpu_ms_per_event),
            ram_mb: or(m.ram_mb, self.ram_mb),
            out_kb_per_event: or(m.out_kb_per_event, self.out_kb_per_event),
            out_kb_per_mb: or(m.out_kb_per_mb, self.out_kb_per_mb),
            out_mb: or(m.out_mb, self.out_mb),
            walltime_ms: or(m.walltime_ms, self.walltime_ms),
            work_mb: or(m.work_mb, self.work_mb),
            io_kb_s: or(m.io_kb_s, self.io_kb_s),
            disk_io_kb_s: m.disk_io_kb_s.or(self.disk_io_kb_s),
            max_bytes: m.gb_per_job.map(|gb| gb.saturating_mul(1_000_000_000)).or(self.max_bytes),
            merge_ram_mb: or(merges.0, self.merge_ram_mb),
            merge_walltime_s: or(merges.1, self.merge_walltime_s),
        }
    }

    pub(super) fn apply(&self, plan: &mut Plan) {
        if let Some(mb) = self.ram_mb.filter(|_| !plan.needs.ram.fixed) {
            plan.needs.ram.mb = mb;
            plan.ram_mb = plan.needs.ram.of(plan.cores);
        }
        if let Some(ms) = self.cpu_ms_per_event {
            plan.estimate.cpu = Cpu::PerEvent(ms);
            plan.measured_time = true;
        }
        self.time(plan);
        self.disk(plan);
        if let Some(kb) = self.io_kb_s {
            plan.needs.io_kb_s = kb;
        }
        if self.max_bytes.is_some() {
            plan.limits.bytes = self.max_bytes;
        }
        if let Some(merge) = &mut plan.merge {
            merge.ram_mb = self.merge_ram_mb.unwrap_or(merge.ram_mb);
            merge.walltime_s = self.merge_walltime_s.unwrap_or(merge.walltime_s);
        }
    }

    fn time(&self, plan: &mut Plan) {
        let Some(ms) = self.walltime_ms else { return };
        if plan.pseudo.is_some() {
            let most = plan.split.max_walltime_s.unwrap_or(i64::MAX);
            plan.walltime_s = plan.walltime_s.max((ms / 1_000).min(most));
            return;
        }
        // CPU time for an event tells more than time for a megabyte.
        plan.estimate.cpu = match plan.estimate.cpu {
            Cpu::PerEvent(own) => Cpu::PerEvent(own),
            Cpu::PerMegabyte(own) => Cpu::PerMegabyte(own.max(ms)),
            Cpu::Unknown => Cpu::PerMegabyte(ms),
        };
        plan.measured_time = true;
    }

    fn disk(&self, plan: &mut Plan) {
        let own = (plan.disk_mb - plan.estimate.work_mb).max(0);
        plan.estimate.work_mb = plan.estimate.work_mb.max(self.work_mb.unwrap_or(0));
        plan.disk_mb = plan.estimate.work_mb.saturating_add(self.out_mb.unwrap_or(own));
        if let Some(kb) = self.out_kb_per_event {
            (plan.estimate.out_kb_per_event, plan.estimate.out_kb_per_mb) = (kb, 0);
        }
        if let Some(kb) = self.out_kb_per_mb {
            (plan.estimate.out_kb_per_event, plan.estimate.out_kb_per_mb) = (0, kb);
        }
    }
}

/// A task of very short jobs gets longer ones (`spec/engine.md` section 7.2, row 4).
pub(super) fn widen(plan: &mut Plan) {
    (plan.limits.files, plan.limits.bytes, plan.limits.max_files) = (None, None, WIDE_FILES);
}

//! What a task's jobs need of a queue, as its plan says: the same at submission, where it is asked whether a queue could ever take them, and for
//! the jobs themselves.

use panda_core::{
    policy::{
        broker::{Needs, Work},
        resource::Types,
        split::limits::Cpu,
    },
    queue::hardware::{CpuNeed, GpuNeed},
};
use panda_store::query::task::TaskRow;

use crate::task::plan::Plan;

/// What a task's jobs need of a queue; `input_mb` is what one of them is expected to copy.
#[must_use]
pub fn of(t: &TaskRow, plan: &Plan, types: &Types, input_mb: i64) -> Needs {
    let r = &plan.needs;
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    Needs {
        vo: t.vo.clone(),
        label: t.label.clone(),
        share: t.share_name.clone().unwrap_or_default(),
        working_group: t.working_group.clone().unwrap_or_default(),
        processing_type: t.processing_type.clone().unwrap_or_default(),
        person: t.person_id,
        only: plan.sites.clone(),
        never: plan.not_sites.clone(),
        cloud: r.queues_of(),
        resource_type: types.of(plan.cores, plan.ram_mb).to_owned(),
        cores: plan.cores,
        max_cores: r.max_cores,
        ram: r.ram,
        disk_mb: plan.disk_mb,
        input_mb,
        copies_input: r.copies_input,
        walltime_s: plan.walltime_s,
        work: work(plan),
        gpu: r.hardware.gpu.as_ref().map(|g| GpuNeed {
            count: g.count,
            vendor: g.vendor.clone(),
            model: g.model.clone(),
            memory_mb: g.memory_mb,
            framework: g.framework.clone(),
            version: g.version.clone(),
        }),
        cpus: r.hardware.cpus.iter().map(|c| CpuNeed { arch: c.arch.clone(), vendor: c.vendor.clone(), instr: c.instr.clone() }).collect(),
        platform: given(&r.hardware.platform),
        same_os: r.same_os,
        system: given(&r.hardware.base_platform),
        software: [given(&r.release), given(&r.package)].into_iter().flatten().collect(),
        image: plan.container.clone(),
        only_tags: r.only_tags,
        connectivity: given(&r.connectivity),
        ip_version: r.ip_version,
        no_virtual: r.no_virtual_placement,
        io_kb_s: r.io_kb_s,
        nucleus: t.nucleus.clone(),
        native: plan.needs_native,
        ..Needs::default()
    }
}

/// CPU time of a job whose number of events is known beforehand; of others, splitting sees to it that jobs fit the queue.
fn work(plan: &Plan) -> Work {
    let (Cpu::PerEvent(ms), Some(events)) = (plan.estimate.cpu, plan.limits.events) else { return Work::default() };
    Work { cpu_s: ms.saturating_mul(events) / 1_000, base_s: plan.estimate.base_walltime_s, efficiency: plan.estimate.cpu_efficiency }
}

/// Data sets that jobs read.
#[must_use]
pub fn inputs(plan: &Plan) -> Vec<String> {
    plan.inputs.iter().flat_map(|i| i.datasets.iter().cloned()).collect()
}

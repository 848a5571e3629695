//! What a queue must offer: cores, memory, disk, time, hardware, software, places.

use panda_core::policy::nucleus::WORLD;
pub use panda_core::policy::ram::Ram;
use panda_wire::TaskParameters;

use super::{Hardware, MAX_ATTEMPT, MOST_ATTEMPTS, Plan, PlanError, RAM_MB, hardware, not_negative, positive, texts, wrong};

/// What a queue must offer besides cores, memory, disk and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requirements {
    /// Memory as stated; [`Plan::ram_mb`] is this on [`Plan::cores`] cores.
    pub ram: Ram,
    /// Most cores of a job (CC); 0 = as many as the queue gives.
    pub max_cores: i64,
    /// CPU, GPU, platform.
    pub hardware: Hardware,
    /// Release (`transUses`).
    pub release: Option<String>,
    /// Package (`transHome`).
    pub package: Option<String>,
    /// Only tags count for fat containers (OT).
    pub only_tags: bool,
    /// The operating system must be the platform's (OS).
    pub same_os: bool,
    /// Kilobytes a second of each job (`ioIntensity`); 0 = not stated.
    pub io_kb_s: i64,
    /// IP version (IK): 4, 6.
    pub ip_version: Option<i64>,
    /// `full` or `http` (IP).
    pub connectivity: Option<String>,
    /// No queues with virtual placement (AV).
    pub no_virtual_placement: bool,
    /// Site of the outputs.
    pub nucleus: Option<String>,
    /// Cloud: a group of queues.
    pub cloud: Option<String>,
    /// Inputs are copied to scratch even where they could be read in place (LI).
    pub copies_input: bool,
}

impl Requirements {
    /// Whether the task asks that a nucleus is chosen for it.
    #[must_use]
    pub fn asks_nucleus(&self) -> bool {
        self.nucleus.is_none() && self.cloud.as_deref() == Some(WORLD)
    }
    /// The group of queues that its jobs go to.
    #[must_use]
    pub fn queues_of(&self) -> Option<String> {
        self.cloud.clone().filter(|c| !c.is_empty() && c != WORLD)
    }
}

/// Whole MB of an amount with its unit (`kB…`, `MB…`, `GB…`).
pub(super) fn megabytes(value: Option<f64>, unit: Option<&str>) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "megabytes")]
    let mb = value.unwrap_or(0.0).clamp(0.0, 1e12) as i64;
    match unit.and_then(|u| u.chars().next()) {
        Some('k') => mb / 1_000,
        Some('G' | 'g') => mb.saturating_mul(1_000),
        _ => mb,
    }
}

fn ram(p: &TaskParameters) -> Result<Ram, PlanError> {
    let unit = p.memory_unit().unwrap_or("MB");
    let mb = not_negative("ramCount", p.ram_count)?;
    let base_mb = not_negative("baseRamCount", p.base_ram_count)?;
    let fixed = unit.ends_with("Fixed");
    Ok(match mb {
        0 => Ram { mb: RAM_MB, per_core: true, fixed: false, base_mb: 0 },
        mb => Ram { mb, per_core: unit.contains("PerCore"), fixed, base_mb },
    })
}

/// Reads requirements, attempts and places.
pub(super) fn read(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    plan.cores = not_negative("coreCount", p.core_count)?.max(1);
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    plan.needs = Requirements {
        ram: ram(p)?,
        max_cores: not_negative("maxCoreCount", p.max_core_count)?,
        hardware: hardware::read(p.architecture.as_ref())?,
        release: given(&p.trans_uses),
        package: given(&p.trans_home),
        only_tags: p.only_tags_for_fc == Some(true),
        same_os: p.os_matching == Some(true),
        io_kb_s: not_negative("ioIntensity", p.io_intensity)?,
        ip_version: p.ip_stack.filter(|v| *v != 0),
        connectivity: given(&p.ip_connectivity),
        no_virtual_placement: p.avoid_vp == Some(true),
        nucleus: given(&p.nucleus),
        cloud: given(&p.cloud),
        copies_input: p.use_local_io.or(p.force_staged).is_some_and(|n| n != 0),
    };
    if plan.needs.max_cores > 0 && plan.needs.max_cores < plan.cores {
        return Err(wrong("maxCoreCount", format!("is {}, but `coreCount` asks for {}", plan.needs.max_cores, plan.cores)));
    }
    plan.ram_mb = plan.needs.ram.of(plan.cores);
    read_time_and_disk(p, plan);
    read_attempts(p, plan)?;
    read_places(p, plan)
}

fn read_time_and_disk(p: &TaskParameters, plan: &mut Plan) {
    // Clients write the limit of a job as a negative number of seconds; with a unit (`…PerMB`) it grows with the input instead.
    let grows = p.walltime_unit.as_deref().is_some_and(|u| u.contains("Per"));
    let own = p.walltime.unwrap_or(0).saturating_abs();
    let stated = if grows { 0 } else { own };
    plan.walltime_s = if stated > 0 { stated } else { plan.split.max_walltime_s.unwrap_or(0) };
    plan.disk_mb = plan.estimate.work_mb;
    if plan.pseudo.is_some() && !p.out_disk_unit.as_deref().is_some_and(|u| u.contains("PerEvent")) {
        // No input that an output could grow with.
        plan.disk_mb += megabytes(p.out_disk_count, p.out_disk_unit.as_deref().or(Some("kB")));
    }
}

fn read_attempts(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    plan.max_attempt = match p.max_attempt {
        Some(n) if n > MOST_ATTEMPTS => return Err(wrong("maxAttempt", format!("is {n}, at most {MOST_ATTEMPTS} are possible"))),
        Some(n) if n > 0 => n,
        _ => MAX_ATTEMPT,
    };
    if p.disable_auto_retry.is_some_and(|v| v != 0) {
        plan.max_attempt = 1;
    }
    plan.max_failure = positive("maxFailure", p.max_failure.filter(|n| *n != 0))?;
    Ok(())
}

fn read_places(p: &TaskParameters, plan: &mut Plan) -> Result<(), PlanError> {
    let own = p.site.iter().flat_map(|s| s.split(',')).map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
    plan.sites = own.chain(texts(p.included_site.as_ref())).collect();
    plan.not_sites = texts(p.excluded_site.as_ref());
    if let Some(both) = plan.sites.iter().find(|s| plan.not_sites.contains(s)) {
        return Err(wrong("excludedSite", format!("names {both}, which the task asks for as well; leave it out of one of them")));
    }
    Ok(())
}

//! Queues: where jobs can run, what they offer, and whether a job's needs fit (`spec/engine.md` sections 8.1 and 9.3).
//!
//! It must not know the queue document (schedconfig): it is read elsewhere into [`Queue`].

use crate::id::QueueId;
use crate::time::Micros;
use crate::words::word_enum;

word_enum! {
    /// State of a queue (`status` of its document).
    QueueState, "queue state" {
        /// Takes jobs.
        Online = "online",
        /// Takes test jobs only, and jobs sent to it by name.
        Test = "test",
        /// Brokerage leaves it alone; jobs sent to it by name are taken.
        Brokeroff = "brokeroff",
        /// Takes nothing for now; running jobs go on.
        Paused = "paused",
        /// Takes nothing.
        Offline = "offline",
    }
}

word_enum! {
    /// Which pilots serve a queue, hence what its jobs may ask for (`spec/payload_runners.md` 1.6).
    PilotFamily, "pilot family" {
        /// Our own worker.
        Native = "native",
        /// The official pilot with its generic user.
        OfficialGeneric = "official-generic",
        /// The official pilot with the ATLAS user.
        Atlas = "atlas",
    }
}

/// A queue as brokerage sees it. Numbers that are 0 mean "not stated, no limit".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Number.
    pub id: QueueId,
    /// Name; what people and the API use.
    pub name: String,
    /// State.
    pub state: QueueState,
    /// The site it belongs to.
    pub site: String,
    /// VOs that may use it; empty = any.
    pub vos: Vec<String>,
    /// Which pilots serve it.
    pub family: PilotFamily,
    /// Whether containers can be started on its nodes.
    pub has_container: bool,
    /// Cores of a slot (`corecount`): 0 = not stated, -1 = any number.
    pub core_count: i64,
    /// Most memory in MB of a slot (`maxrss`).
    pub max_rss_mb: i64,
    /// Least memory in MB of a job that belongs here (`minrss`).
    pub min_rss_mb: i64,
    /// Longest wall time in seconds (`maxtime`).
    pub max_time_s: i64,
    /// Shortest wall time in seconds of a job that belongs here (`mintime`).
    pub min_time_s: i64,
    /// Scratch space in MB (`maxwdir`).
    pub max_workdir_mb: i64,
    /// Free space of its storage in GB, if published.
    pub space_gb: Option<i64>,
    /// Number of GPUs of a slot.
    pub gpu_count: i64,
    /// Whether payloads read inputs in place instead of copying them.
    pub direct_io: bool,
    /// Processing types taken; empty = all.
    pub allowed_processing: Vec<String>,
    /// Processing types refused.
    pub excluded_processing: Vec<String>,
    /// Whether jobs may be sent before a pilot was seen (`allow_no_pilot`).
    pub allow_no_pilot: bool,
    /// When a pilot was last seen.
    pub last_pilot: Option<Micros>,
    /// Base of script addresses (`<base>/trf/user/<name>`), when it is not the server's own.
    pub script_base: Option<String>,
    /// Name of its storage endpoint.
    pub storage: Option<String>,
    /// Number of changes of this row.
    pub rev: i64,
}

impl Queue {
    /// An online queue of our own worker without limits.
    #[must_use]
    pub fn new(id: QueueId, name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            id,
            site: name.clone(),
            name,
            state: QueueState::Online,
            vos: Vec::new(),
            family: PilotFamily::Native,
            has_container: false,
            core_count: 0,
            max_rss_mb: 0,
            min_rss_mb: 0,
            max_time_s: 0,
            min_time_s: 0,
            max_workdir_mb: 0,
            space_gb: None,
            gpu_count: 0,
            direct_io: false,
            allowed_processing: Vec::new(),
            excluded_processing: Vec::new(),
            allow_no_pilot: false,
            last_pilot: None,
            script_base: None,
            storage: None,
            rev: 0,
        }
    }
}

/// Memory per core in MB above which a job counts as `HIMEM` (`spec/engine.md` 9.3).
pub const HIMEM_MB_PER_CORE: i64 = 2_000;

/// The resource type of a job: `SCORE`, `MCORE`, `SCORE_HIMEM`, `MCORE_HIMEM`.
#[must_use]
pub const fn resource_type(core_count: i64, ram_mb: i64) -> &'static str {
    let cores = if core_count < 1 { 1 } else { core_count };
    match (cores > 1, ram_mb > HIMEM_MB_PER_CORE.saturating_mul(cores)) {
        (false, false) => "SCORE",
        (true, false) => "MCORE",
        (false, true) => "SCORE_HIMEM",
        (true, true) => "MCORE_HIMEM",
    }
}

/// What a job needs of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// VO of the task.
    pub vo: String,
    /// `processingType`.
    pub processing_type: String,
    /// Queues asked for by name; empty = any.
    pub only: Vec<String>,
    /// Queues ruled out by name.
    pub never: Vec<String>,
    /// Cores; 0 = any.
    pub cores: i64,
    /// Memory in MB.
    pub ram_mb: i64,
    /// Scratch space in MB, input included unless it is read in place.
    pub disk_mb: i64,
    /// Part of `disk_mb` that is input.
    pub input_mb: i64,
    /// Wall time in seconds; 0 = unknown.
    pub walltime_s: i64,
    /// GPUs.
    pub gpus: i64,
    /// Whether it runs in a container.
    pub container: bool,
    /// Why an official generic pilot cannot do it, if so (`spec/payload_runners.md` 1.6, 9.3).
    pub native: Option<&'static str>,
    /// Queues that must have been asked by a pilot since then, unless they allow otherwise; none = not looked at.
    pub pilot_since: Option<Micros>,
}

/// Free space of a storage in GB below which no jobs are sent (`spec/engine.md` 8.1).
pub const MIN_SPACE_GB: i64 = 200;

word_enum! {
    /// A filter of the broker, in the order in which they are applied (`spec/engine.md` 8.1).
    Criterion, "criterion" {
        /// Asked for by name.
        Site = "site",
        /// Ruled out by name.
        Excluded = "excluded",
        /// Open to the VO.
        Vo = "vo",
        /// Online.
        Status = "status",
        /// Scratch space.
        Disk = "disk",
        /// Free space of the storage.
        Storage = "storage",
        /// Wall time.
        Walltime = "walltime",
        /// Cores.
        Cores = "cores",
        /// Memory.
        Memory = "memory",
        /// GPUs.
        Gpu = "gpu",
        /// Processing type.
        Processing = "processing",
        /// Containers.
        Container = "container",
        /// What its pilots can do.
        Pilot = "pilot",
        /// Whether pilots come.
        NoPilot = "no_pilot",
    }
}

impl Criterion {
    /// What it means that queues fall to this filter; follows a count ("2 with less than 8000 MB of memory").
    #[must_use]
    pub fn means(self, needs: &Needs) -> String {
        match self {
            Self::Site => "not asked for".into(),
            Self::Excluded => "ruled out by the task".into(),
            Self::Vo => format!("not open to {}", needs.vo),
            Self::Status => "not online".into(),
            Self::Disk => format!("with less than {} MB of scratch space", needs.disk_mb),
            Self::Storage => format!("with less than {MIN_SPACE_GB} GB of free storage"),
            Self::Walltime => format!("without room for {} s of wall time", needs.walltime_s),
            Self::Cores => format!("with fewer than {} cores", needs.cores),
            Self::Memory => format!("not for jobs of {} MB of memory", needs.ram_mb),
            Self::Gpu => format!("with fewer than {} GPUs", needs.gpus),
            Self::Processing => format!("not for {} jobs", needs.processing_type),
            Self::Container => "without containers".into(),
            Self::Pilot => format!("with official generic pilots: {}", needs.native.unwrap_or_default()),
            Self::NoPilot => "where no pilot has asked lately".into(),
        }
    }

    /// Whether a queue passes this filter. A number of 0 on either side means "not stated" and passes.
    #[must_use]
    pub fn passes(self, queue: &Queue, needs: &Needs) -> bool {
        let within = |need: i64, limit: i64| limit <= 0 || need <= limit;
        let named = needs.only.contains(&queue.name);
        match self {
            Self::Site => needs.only.is_empty() || named,
            Self::Excluded => !needs.never.contains(&queue.name),
            Self::Vo => queue.vos.is_empty() || queue.vos.contains(&needs.vo),
            Self::Status => match queue.state {
                QueueState::Online => true,
                QueueState::Test | QueueState::Brokeroff => named,
                QueueState::Paused | QueueState::Offline => false,
            },
            Self::Disk => {
                let input = if queue.direct_io { needs.input_mb } else { 0 };
                within(needs.disk_mb - input, queue.max_workdir_mb)
            }
            Self::Storage => queue.space_gb.is_none_or(|space| space >= MIN_SPACE_GB),
            Self::Walltime => within(needs.walltime_s, queue.max_time_s) && (needs.walltime_s <= 0 || needs.walltime_s >= queue.min_time_s),
            Self::Cores => within(needs.cores, queue.core_count),
            Self::Memory => within(needs.ram_mb, queue.max_rss_mb) && (needs.ram_mb <= 0 || needs.ram_mb >= queue.min_rss_mb),
            Self::Gpu => needs.gpus <= queue.gpu_count,
            Self::Processing => {
                (queue.allowed_processing.is_empty() || queue.allowed_processing.contains(&needs.processing_type))
                    && !queue.excluded_processing.contains(&needs.processing_type)
            }
            Self::Container => !needs.container || queue.has_container,
            Self::Pilot => needs.native.is_none() || queue.family != PilotFamily::OfficialGeneric,
            Self::NoPilot => {
                queue.allow_no_pilot || needs.pilot_since.is_none_or(|since| queue.last_pilot.is_some_and(|seen| seen >= since))
            }
        }
    }
}

/// Why a queue cannot take a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue} is {why} (criteria=-{criterion})")]
pub struct Reject {
    /// The queue.
    pub queue: String,
    /// The first filter that it fell to.
    pub criterion: Criterion,
    /// What that means.
    pub why: String,
}

/// Whether a queue can take a job with these needs.
///
/// # Errors
/// The first filter that the queue does not pass.
pub fn fits(queue: &Queue, needs: &Needs) -> Result<(), Reject> {
    match Criterion::ALL.iter().find(|criterion| !criterion.passes(queue, needs)) {
        None => Ok(()),
        Some(criterion) => Err(Reject { queue: queue.name.clone(), criterion: *criterion, why: criterion.means(needs) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue {
            core_count: 8,
            max_rss_mb: 16_000,
            min_rss_mb: 1_000,
            max_time_s: 3_600,
            min_time_s: 60,
            max_workdir_mb: 500,
            ..Queue::new(QueueId(1), "A")
        }
    }

    #[test]
    fn each_filter_has_its_name() {
        let first = |queue: &Queue, needs: &Needs| fits(queue, needs).map_err(|r| r.criterion.as_str());
        let needs = Needs { vo: "amber".into(), processing_type: "run".into(), ..Needs::default() };
        assert_eq!(first(&queue(), &needs), Ok(()));
        let asks = |change: &dyn Fn(&mut Needs)| {
            let mut changed = needs.clone();
            change(&mut changed);
            first(&queue(), &changed)
        };
        assert_eq!(asks(&|n| n.only = vec!["B".into()]), Err("site"));
        assert_eq!(asks(&|n| n.never = vec!["A".into()]), Err("excluded"));
        assert_eq!(asks(&|n| n.disk_mb = 501), Err("disk"));
        assert_eq!(asks(&|n| n.walltime_s = 3_601), Err("walltime"));
        assert_eq!(asks(&|n| n.walltime_s = 59), Err("walltime"));
        assert_eq!(asks(&|n| n.cores = 9), Err("cores"));
        assert_eq!(asks(&|n| n.ram_mb = 16_001), Err("memory"));
        assert_eq!(asks(&|n| n.ram_mb = 999), Err("memory"));
        assert_eq!(asks(&|n| n.gpus = 1), Err("gpu"));
        assert_eq!(asks(&|n| n.container = true), Err("container"));
        assert_eq!(asks(&|n| n.pilot_since = Some(Micros(1))), Err("no_pilot"));
        assert_eq!(first(&Queue { vos: vec!["flint".into()], ..queue() }, &needs), Err("vo"));
        assert_eq!(first(&Queue { state: QueueState::Offline, ..queue() }, &needs), Err("status"));
        assert_eq!(first(&Queue { state: QueueState::Test, ..queue() }, &needs), Err("status"));
        assert_eq!(first(&Queue { space_gb: Some(10), ..queue() }, &needs), Err("storage"));
        assert_eq!(first(&Queue { excluded_processing: vec!["run".into()], ..queue() }, &needs), Err("processing"));
        let pattern = Needs { native: Some("an output is a pattern"), ..needs.clone() };
        assert_eq!(first(&Queue { family: PilotFamily::OfficialGeneric, ..queue() }, &pattern), Err("pilot"));
        let named = Needs { only: vec!["A".into()], ..needs.clone() };
        assert_eq!(first(&Queue { state: QueueState::Test, ..queue() }, &named), Ok(()));
        let read_in_place = Needs { disk_mb: 900, input_mb: 800, ..needs };
        assert_eq!(first(&Queue { direct_io: true, ..queue() }, &read_in_place), Ok(()));
        let text = fits(&Queue { state: QueueState::Paused, ..queue() }, &pattern).unwrap_err().to_string();
        assert_eq!(text, "queue A is not online (criteria=-status)");
    }

    #[test]
    fn resource_types() {
        assert_eq!(resource_type(1, 2_000), "SCORE");
        assert_eq!(resource_type(8, 16_000), "MCORE");
        assert_eq!(resource_type(1, 2_001), "SCORE_HIMEM");
        assert_eq!(resource_type(8, 16_001), "MCORE_HIMEM");
        assert_eq!(resource_type(0, 0), "SCORE");
    }
}

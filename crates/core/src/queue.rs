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

//! Queues: where jobs can run and what they offer (`spec/engine.md` sections 8 and 9.3). Whether a job fits is `policy::broker`'s.
//!
//! It must not know the queue document (schedconfig): it is read elsewhere into [`Queue`].

pub mod hardware;

use crate::id::QueueId;
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

word_enum! {
    /// Which jobs a queue is for (`type` of its document).
    QueueKind, "queue kind" {
        /// Any.
        Unified = "unified",
        /// Users' jobs.
        Analysis = "analysis",
        /// Production jobs.
        Production = "production",
    }
}

word_enum! {
    /// How wide jobs may be (`capability`; `spec/engine.md` 9.3).
    Capability, "capability" {
        /// Jobs of any number of cores up to the queue's; what a queue is that states nothing.
        Any = "any",
        /// The same, and each core has its part of the slot's memory.
        Ucore = "ucore",
        /// Jobs of one core.
        Score = "score",
        /// Jobs of several cores.
        Mcore = "mcore",
    }
}

/// A queue as brokerage sees it. Numbers that are 0 mean "not stated, no limit"; empty lists mean "not stated, any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Number.
    pub id: QueueId,
    /// Name; what people and the API use.
    pub name: String,
    /// State.
    pub state: QueueState,
    /// Why it is held or drained, if it is.
    pub hold: Option<String>,
    /// The site it belongs to.
    pub site: String,
    /// The cloud it belongs to: a group of queues.
    pub cloud: Option<String>,
    /// Which jobs it is for.
    pub kind: QueueKind,
    /// VOs that may use it.
    pub vos: Vec<String>,
    /// Which pilots serve it.
    pub family: PilotFamily,
    /// Whether containers can be started on its nodes.
    pub has_container: bool,
    /// Cores of a slot (`corecount`): 0 = not stated, -1 = any number.
    pub core_count: i64,
    /// How wide jobs may be.
    pub capability: Capability,
    /// Power of a core, thousandths (`corepower`).
    pub core_power_milli: i64,
    /// Electric power that a core in use draws, thousandths of a watt (`core_watts`); 0 = not stated.
    pub core_watts_milli: i64,
    /// Carbon dioxide that a kilowatt-hour comes with here, thousandths of a gram (`co2_g_kwh`); 0 = not stated.
    pub co2_mg_kwh: i64,
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
    /// GPUs of a slot.
    pub gpus: hardware::Gpus,
    /// CPUs of its nodes.
    pub cpus: hardware::Cpus,
    /// Software platforms (`cmtconfigs`).
    pub platforms: Vec<String>,
    /// Operating systems of its nodes.
    pub systems: Vec<String>,
    /// Releases and packages that are installed; `ANY` = all of them.
    pub releases: Vec<String>,
    /// Tags of container images that it can run; `*` in a tag stands for anything.
    pub image_tags: Vec<String>,
    /// What its nodes can reach: `full`, `http`, `none`.
    pub connectivity: Option<String>,
    /// IP versions of its nodes.
    pub ip_versions: Vec<i64>,
    /// Whether input is placed by a cache instead of by its storage.
    pub is_virtual: bool,
    /// Whether payloads read inputs in place instead of copying them.
    pub direct_io: bool,
    /// Input and output that it bears, kB/s for each core (`maxdiskio`).
    pub max_io_kb_s: i64,
    /// Processing types taken; `*` stands for anything.
    pub allowed_processing: Vec<String>,
    /// Processing types refused; `*` stands for anything.
    pub excluded_processing: Vec<String>,
    /// Shares, working groups and processing types that have a target of zero here (`fairsharepolicy`).
    pub zero_shares: Vec<String>,
    /// Whether jobs may be sent before a pilot was seen (`allow_no_pilot`).
    pub allow_no_pilot: bool,
    /// Jobs in `transferring` beyond which no more are sent (`transferringlimit`).
    pub transferring_limit: i64,
    /// Jobs that wait here at most (`maxqueued`).
    pub max_queued: i64,
    /// Endpoint that jobs write to.
    pub storage: Option<String>,
    /// Endpoints that jobs read from; empty = [`Self::storage`].
    pub reads: Vec<String>,
    /// Endpoints that jobs can write to beside [`Self::storage`].
    pub writes: Vec<String>,
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
            hold: None,
            cloud: None,
            kind: QueueKind::Unified,
            vos: Vec::new(),
            family: PilotFamily::Native,
            has_container: false,
            core_count: 0,
            capability: Capability::Any,
            core_power_milli: 0,
            core_watts_milli: 0,
            co2_mg_kwh: 0,
            max_rss_mb: 0,
            min_rss_mb: 0,
            max_time_s: 0,
            min_time_s: 0,
            max_workdir_mb: 0,
            gpus: hardware::Gpus::default(),
            cpus: hardware::Cpus::default(),
            platforms: Vec::new(),
            systems: Vec::new(),
            releases: Vec::new(),
            image_tags: Vec::new(),
            connectivity: None,
            ip_versions: Vec::new(),
            is_virtual: false,
            direct_io: false,
            max_io_kb_s: 0,
            allowed_processing: Vec::new(),
            excluded_processing: Vec::new(),
            zero_shares: Vec::new(),
            allow_no_pilot: false,
            transferring_limit: 0,
            max_queued: 0,
            storage: None,
            reads: Vec::new(),
            writes: Vec::new(),
        }
    }
    /// Endpoints that jobs read from.
    pub fn readable(&self) -> impl Iterator<Item = &str> {
        let own = self.storage.iter().filter(|_| self.reads.is_empty());
        self.reads.iter().chain(own).map(String::as_str)
    }
    /// Whether jobs can write to an endpoint.
    #[must_use]
    pub fn writes_to(&self, endpoint: &str) -> bool {
        self.storage.as_deref() == Some(endpoint) || self.writes.iter().any(|e| e == endpoint)
    }
    /// The endpoint that outputs go to: the nucleus, when jobs can write there, else the queue's own (`spec/engine.md` 8.4).
    #[must_use]
    pub fn output_at<'a>(&'a self, nucleus: Option<&'a str>) -> Option<&'a str> {
        nucleus.filter(|n| self.writes_to(n)).or(self.storage.as_deref())
    }
    /// Memory in MB that a job of `cores` cores may ask for (`spec/engine.md` 9.3, 20.4): a unified queue gives each
    /// core its part of the slot, and a slot need have only so many percent of what is asked for. None = no limit.
    #[must_use]
    pub fn most_ram_mb(&self, cores: i64, percent: i64) -> Option<i64> {
        (self.max_rss_mb > 0).then(|| self.part(self.max_rss_mb, cores).saturating_mul(100) / percent.max(1))
    }
    /// Memory in MB that a job of `cores` cores must ask for to belong here.
    #[must_use]
    pub const fn least_ram_mb(&self, cores: i64) -> i64 {
        self.part(self.min_rss_mb, cores)
    }
    /// The part of a slot's memory that `cores` of its cores have.
    const fn part(&self, mb: i64, cores: i64) -> i64 {
        if matches!(self.capability, Capability::Ucore) && self.core_count > 1 && cores > 0 && cores < self.core_count {
            mb.saturating_mul(cores) / self.core_count
        } else {
            mb
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
#[must_use]
pub fn glob(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_go_to_the_nucleus_where_jobs_can_write_there() {
        let q = Queue { storage: Some("S".into()), writes: vec!["N".into()], ..Queue::new(QueueId(1), "A") };
        for (nucleus, want) in [(None, "S"), (Some("S"), "S"), (Some("N"), "N"), (Some("FAR"), "S")] {
            assert_eq!(q.output_at(nucleus), Some(want), "{nucleus:?}");
        }
        assert_eq!(Queue::new(QueueId(1), "A").output_at(Some("N")), None);
    }

    #[test]
    fn patterns_of_names() {
        for (pattern, name, want) in [
            ("A", "A", true),
            ("A", "AB", false),
            ("A*", "AB", true),
            ("*B", "AB", true),
            ("*", "", true),
            ("A*C*E", "ABCDE", true),
            ("A*C*E", "ABDE", false),
            ("A*A", "A", false),
            ("*ab*ab", "xabyab", true),
            ("*ab*ab", "xab", false),
        ] {
            assert_eq!(glob(pattern, name), want, "{pattern} {name}");
        }
    }

    /// engine.md 9.3: a unified queue gives jobs their part of a slot's memory; 20.4: compensation 0.9.
    #[test]
    fn memory_of_a_part_of_a_slot() {
        let q = Queue { core_count: 8, max_rss_mb: 14_400, min_rss_mb: 800, capability: Capability::Ucore, ..Queue::new(QueueId(1), "A") };
        assert_eq!((q.most_ram_mb(8, 90), q.most_ram_mb(1, 90), q.most_ram_mb(4, 90)), (Some(16_000), Some(2_000), Some(8_000)));
        assert_eq!((q.least_ram_mb(8), q.least_ram_mb(1)), (800, 100));
        let whole = Queue { capability: Capability::Mcore, ..q };
        assert_eq!((whole.most_ram_mb(1, 90), whole.least_ram_mb(1)), (Some(16_000), 800));
        assert_eq!(Queue::new(QueueId(1), "A").most_ram_mb(1, 90), None);
    }
}

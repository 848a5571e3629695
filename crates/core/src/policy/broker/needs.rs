//! What a job needs of a queue, and what the broker knows of the world.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::QueueId;
use crate::policy::load::{AtQueue, Counts};
use crate::policy::ram::Ram;
use crate::queue::Queue;
use crate::queue::hardware::{CpuNeed, GpuNeed};
use crate::time::Micros;

use super::Limits;

/// CPU time of a job, in seconds on a core of power 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Seconds on a core of power 1; 0 = not known.
    pub cpu_s: i64,
    /// Seconds beside that, whatever the power.
    pub base_s: i64,
    /// CPU efficiency, per cent; 0 = 100.
    pub efficiency: i64,
}

/// Power of a core that states none, thousandths (`spec/engine.md` 20.4).
pub const CORE_POWER_MILLI: i64 = 10_000;

/// What a job needs of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// VO.
    pub vo: String,
    /// `prodSourceLabel`.
    pub label: String,
    /// Class of the label: `analysis`, `production`, ….
    pub class: String,
    /// Whether it is a test: test queues take it, and it need not wait for a pilot to be seen.
    pub is_test: bool,
    /// Share.
    pub share: String,
    /// Working group; may be empty.
    pub working_group: String,
    /// `processingType`.
    pub processing_type: String,
    /// Owner's row id; 0 = nobody.
    pub person: i64,
    /// Queues asked for (`*` stands for any text; `QUEUE/TYPE` means a resource type of the queue); empty = any.
    pub only: Vec<String>,
    /// Queues ruled out, likewise.
    pub never: Vec<String>,
    /// Group of queues asked for.
    pub cloud: Option<String>,
    /// Queues that jobs were taken away from, with the reason.
    pub moved: BTreeMap<QueueId, String>,
    /// Resource type.
    pub resource_type: String,
    /// Cores; 0 = any.
    pub cores: i64,
    /// Most cores, when any are asked for; 0 = no limit.
    pub max_cores: i64,
    /// Memory.
    pub ram: Ram,
    /// Scratch space in MB, input left out.
    pub disk_mb: i64,
    /// Input in MB that a job copies, unless the queue reads it in place.
    pub input_mb: i64,
    /// Whether input is copied even where it could be read in place.
    pub copies_input: bool,
    /// Wall time in seconds; 0 = unknown.
    pub walltime_s: i64,
    /// CPU time.
    pub work: Work,
    /// GPUs; none = none needed.
    pub gpu: Option<GpuNeed>,
    /// One of these CPUs; empty = any.
    pub cpus: Vec<CpuNeed>,
    /// Software platform.
    pub platform: Option<String>,
    /// Whether the queue's operating system must be the platform's.
    pub same_os: bool,
    /// Operating system asked for.
    pub system: Option<String>,
    /// Releases and packages that must be installed; a job in a container brings its own.
    pub software: Vec<String>,
    /// Container image.
    pub image: Option<String>,
    /// Whether the queue must list the image.
    pub only_tags: bool,
    /// `full` or `http`.
    pub connectivity: Option<String>,
    /// IP version.
    pub ip_version: Option<i64>,
    /// Whether queues with virtual placement are ruled out.
    pub no_virtual: bool,
    /// Input and output, kB/s; 0 = not stated.
    pub io_kb_s: i64,
    /// Endpoint that the outputs belong to, when one was chosen for the task.
    pub nucleus: Option<String>,
    /// Why an official generic pilot cannot do it, if so (`spec/payload_runners.md` 1.6, 9.3).
    pub native: Option<&'static str>,
}

impl Needs {
    /// Cores of a job at a queue.
    #[must_use]
    pub fn cores_at(&self, queue: &Queue) -> i64 {
        if self.cores > 0 {
            return self.cores;
        }
        let most = if self.max_cores > 0 { self.max_cores } else { i64::MAX };
        queue.core_count.clamp(1, most.max(1))
    }
    /// Memory of a job at a queue, MB.
    #[must_use]
    pub fn ram_at(&self, queue: &Queue) -> i64 {
        self.ram.of(self.cores_at(queue))
    }
    /// Scratch space of a job at a queue, MB.
    #[must_use]
    pub const fn disk_at(&self, queue: &Queue) -> i64 {
        if queue.direct_io && !self.copies_input { self.disk_mb } else { self.disk_mb.saturating_add(self.input_mb) }
    }
    /// Wall time of a job at a queue, seconds: what is stated, or what its CPU time comes to with the queue's cores, if that is more.
    #[must_use]
    pub fn walltime_at(&self, queue: &Queue) -> i64 {
        if self.work.cpu_s <= 0 {
            return self.walltime_s.max(self.work.base_s);
        }
        let power = if queue.core_power_milli > 0 { queue.core_power_milli } else { CORE_POWER_MILLI };
        let efficiency = if self.work.efficiency > 0 { self.work.efficiency } else { 100 };
        let per_s = i128::from(power) * i128::from(self.cores_at(queue)) * i128::from(efficiency);
        let cpu = i128::from(self.work.cpu_s) * 1_000 * 100 / per_s.max(1);
        self.walltime_s.max(self.work.base_s.saturating_add(i64::try_from(cpu).unwrap_or(i64::MAX)))
    }
}

/// A storage endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is in use at all.
    pub active: bool,
    /// Whether it may be read from.
    pub readable: bool,
    /// Whether it may be written to.
    pub writable: bool,
    /// Free space in GB, if published.
    pub free_gb: Option<i64>,
    /// Whether it is a tape.
    pub is_tape: bool,
    /// Whether tasks may keep their outputs there.
    pub is_nucleus: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { active: true, readable: true, writable: true, free_gb: None, is_tape: false, is_nucleus: false }
    }
}

/// A way between two endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Cost; more is worse.
    pub cost: i64,
    /// Megabits a second, if measured.
    pub mbps: Option<i64>,
    /// Files that wait to be moved along it.
    pub queued: i64,
}

/// Endpoints, and ways between them (from, to).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storages {
    /// By name.
    pub endpoints: BTreeMap<String, Endpoint>,
    links: BTreeMap<String, BTreeMap<String, Link>>,
}

impl Storages {
    /// Adds a way.
    pub fn link(&mut self, from: &str, to: &str, link: Link) {
        self.links.entry(from.to_owned()).or_default().insert(to.to_owned(), link);
    }
    /// The way between two endpoints, if there is one.
    #[must_use]
    pub fn between(&self, from: &str, to: &str) -> Option<&Link> {
        self.links.get(from)?.get(to)
    }
    /// Every way, by names.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str, &Link)> {
        self.links.iter().flat_map(|(from, all)| all.iter().map(move |(to, l)| (from.as_str(), to.as_str(), l)))
    }
    /// An endpoint; one that nobody described is usable.
    pub(super) fn usable(&self, name: &str, what: fn(&Endpoint) -> bool) -> bool {
        self.endpoints.get(name).is_none_or(|e| e.active && what(e))
    }
}

/// Files and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub files: i64,
    /// Together.
    pub bytes: i64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Where the input of a task is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locality {
    /// All of it.
    pub all: Amount,
    /// What every queue can read: files that name no endpoint.
    pub anywhere: Amount,
    /// By endpoint.
    pub at: BTreeMap<String, Amount>,
}

/// What of the input a queue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// At its own endpoints.
    pub local: Amount,
    /// At others that it can get it from.
    pub to_move: Amount,
    /// Cost of the dearest way that is needed.
    pub cost: i64,
    /// Megabits a second of the slowest way that is needed, if all are measured.
    pub mbps: Option<i64>,
    /// Most files that wait on a way that is needed.
    pub queued: i64,
}

impl Locality {
    /// What of the input a queue has.
    #[must_use]
    pub fn of(&self, queue: &Queue, storages: &Storages) -> Share {
        let mut share = Share { local: self.anywhere, ..Share::default() };
        let mut slowest = Some(i64::MAX);
        for (name, amount) in self.at.iter().filter(|(name, _)| storages.usable(name, |e| e.readable)) {
            if queue.readable().any(|own| own == name) {
                share.local.add(*amount);
            } else if let Some(link) = queue.readable().filter_map(|own| storages.between(name, own)).min_by_key(|l| (l.cost, l.queued)) {
                share.to_move.add(*amount);
                share.cost = share.cost.max(link.cost);
                share.queued = share.queued.max(link.queued);
                slowest = slowest.and_then(|s| link.mbps.map(|m| s.min(m)));
            }
        }
        share.mbps = slowest.filter(|m| *m < i64::MAX);
        share
    }
    /// Files that no endpoint gives out.
    #[must_use]
    pub fn missing(&self, storages: &Storages) -> i64 {
        let found: i64 = self.at.iter().filter(|(name, _)| storages.usable(name, |e| e.readable)).map(|(_, a)| a.files).sum();
        (self.all.files - self.anywhere.files - found).max(0)
    }
}

/// A queue with what is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The queue.
    pub queue: &'a Queue,
    /// What is on it.
    pub at: &'a AtQueue,
}

/// What the broker knows beside queues and needs.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Queues, in a fixed order (by name), so that the same input gives the same answer.
    pub offers: &'a [Offer<'a>],
    /// Endpoints and ways.
    pub storages: &'a Storages,
    /// Where the input is; none = there is none, or every queue has it.
    pub input: Option<&'a Locality>,
    /// All live jobs.
    pub all: Counts,
    /// Thresholds and weights.
    pub limits: &'a Limits,
    /// Queues that the task uses already, by name: they are kept.
    pub used: &'a BTreeSet<String>,
    /// The present time.
    pub now: Micros,
}

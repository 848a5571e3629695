//! The filters of the broker: their order, what they mean to people, and whether a queue passes.

use crate::policy::resource::pseudo_queue;
use crate::queue::{Capability, PilotFamily, Queue, QueueKind, QueueState, glob};
use crate::words::word_enum;

use super::needs::{Needs, Offer, Share, World};

word_enum! {
    /// A filter of the broker, in the order in which they are applied (`spec/engine.md` 8.1, 8.2, 8.3).
    Criterion, "criterion" {
        /// Asked for by name or pattern.
        Site = "site",
        /// Ruled out by name or pattern.
        Excluded = "excluded",
        /// In the cloud asked for.
        Cloud = "cloud",
        /// Open to the VO.
        Vo = "vo",
        /// Online.
        Status = "status",
        /// Not held, not drained.
        Held = "held",
        /// For this kind of jobs.
        Label = "label",
        /// With a target for the share.
        Share = "share",
        /// Processing type.
        Processing = "processing",
        /// What its pilots can do.
        Pilot = "pilot",
        /// Storage can be read.
        Read = "read",
        /// Storage can be written.
        Write = "write",
        /// Free space of the storage.
        Space = "space",
        /// Scratch space.
        Disk = "disk",
        /// Wall time.
        Walltime = "walltime",
        /// Cores.
        Cores = "cores",
        /// Memory.
        Memory = "memory",
        /// GPUs.
        Gpu = "gpu",
        /// CPU architecture, maker and instruction set.
        Cpu = "cpu",
        /// Platform, releases, packages.
        Software = "software",
        /// Containers and their images.
        Container = "container",
        /// Operating system.
        System = "system",
        /// What nodes can reach, and with which IP version.
        Network = "network",
        /// Virtual placement.
        Virtual = "virtual",
        /// A way to where outputs belong.
        Nucleus = "nucleus",
        /// Where the input is.
        Data = "data",
        /// Ways that the input would take.
        Transfer = "transfer",
        /// Input to be moved, and read, for a job that reads much.
        Io = "io",
        /// Whether pilots come.
        NoPilot = "no_pilot",
        /// Jobs of the owner.
        UserCap = "user_cap",
        /// Jobs that wait.
        QueueCap = "queue_cap",
        /// Jobs of the resource type.
        TypeCap = "type_cap",
        /// Outputs on their way.
        Transferring = "transferring",
        /// More waits than elsewhere.
        Overload = "overload",
        /// No job has started lately.
        Inactive = "inactive",
        /// The owner's jobs fail.
        Failure = "failure",
        /// Jobs of the task were taken away from it.
        Moved = "moved",
        /// Too little weight.
        Weight = "weight",
        /// Ruled out by the plug-in of VO and label.
        Plugin = "plugin",
    }
}

impl Criterion {
    /// Its bit in a set of criteria.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }
    /// Whether a queue that falls to it may pass by waiting: its load, its state and that of storages change, what it offers does not.
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(
            self,
            Self::Site
                | Self::Excluded
                | Self::Cloud
                | Self::Vo
                | Self::Label
                | Self::Share
                | Self::Processing
                | Self::Pilot
                | Self::Disk
                | Self::Walltime
                | Self::Cores
                | Self::Memory
                | Self::Gpu
                | Self::Cpu
                | Self::Software
                | Self::Container
                | Self::System
                | Self::Network
                | Self::Virtual
        )
    }
    /// Whether it only prefers: when no queue would be left it takes out none.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::Inactive | Self::Failure | Self::Moved)
    }

    /// What it means that queues fall to it; follows a count ("2 with less than 8000 MB of memory").
    #[must_use]
    pub fn means(self, needs: &Needs, world: &World<'_>) -> String {
        let l = world.limits;
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        match self {
            Self::Site => "not asked for".into(),
            Self::Excluded => "ruled out by the task".into(),
            Self::Cloud => format!("not in the cloud {}", text(&needs.cloud)),
            Self::Vo => format!("not open to {}", needs.vo),
            Self::Status => "not online".into(),
            Self::Held => "held or drained".into(),
            Self::Label => format!("not for jobs with the label {}", needs.label),
            Self::Share => format!("with a target of zero for the share {}", needs.share),
            Self::Processing => format!("not for {} jobs", needs.processing_type),
            Self::Pilot => format!("with official generic pilots: {}", needs.native.unwrap_or_default()),
            Self::Read => "whose storage cannot be read now".into(),
            Self::Write => "whose storage cannot be written now".into(),
            Self::Space => format!("with less than {} GB of free storage", l.min_space_gb),
            Self::Disk => format!("with less than {} MB of scratch space", needs.disk_mb + needs.input_mb),
            Self::Walltime => format!("not for jobs of {} s", needs.walltime_s.max(needs.work.base_s)),
            Self::Cores => format!("not for jobs of {} cores", needs.cores),
            Self::Memory if needs.ram.per_core => format!("not for jobs of {} MB of memory for each core", needs.ram.mb),
            Self::Memory => format!("not for jobs of {} MB of memory", needs.ram.of(needs.cores)),
            Self::Gpu => format!("without {} GPUs of the kind asked for", needs.gpu.as_ref().map_or(1, |g| g.count.max(1))),
            Self::Cpu => "without the CPUs asked for".into(),
            Self::Software => format!("without the software asked for ({})", software(needs)),
            Self::Container if needs.only_tags => format!("that do not list the image {}", text(&needs.image)),
            Self::Container => "without containers".into(),
            Self::System => format!("with another operating system than {}", system(needs).unwrap_or("the one asked for")),
            Self::Network => "whose nodes reach less of the network than asked for".into(),
            Self::Virtual => "with virtual placement".into(),
            Self::Nucleus => format!("without a way to {}, where the outputs belong", text(&needs.nucleus)),
            Self::Data => data(world),
            Self::Transfer => "where input would take a way that is full or too dear".into(),
            Self::Io => format!("where too much input would be moved or read for a job of {} kB/s", needs.io_kb_s),
            Self::NoPilot => format!("where no pilot has asked for {}", span(l.pilot_window_s.unwrap_or(0))),
            Self::UserCap => format!("where the owner has {} jobs or more", l.user_cap.unwrap_or(0)),
            Self::QueueCap => "where enough jobs wait".into(),
            Self::TypeCap => format!("where enough jobs of type {} wait", needs.resource_type),
            Self::Transferring => "with too many jobs whose outputs are on their way".into(),
            Self::Overload => "where more jobs wait for each running one than elsewhere".into(),
            Self::Inactive => format!("where jobs wait and none has started for {}", span(l.inactive_s.unwrap_or(0))),
            Self::Failure => "where the owner's jobs fail".into(),
            Self::Moved => "that jobs of this task were taken away from".into(),
            Self::Weight => format!("with a weight below {}", l.min_weight),
            Self::Plugin => "ruled out by a plug-in".into(),
        }
    }

    /// Whether a queue passes; [`Self::Weight`] and [`Self::Plugin`] are decided by the caller. A number of 0 on either side means "not stated" and passes.
    #[must_use]
    pub fn passes(self, offer: &Offer<'_>, needs: &Needs, world: &World<'_>) -> bool {
        let (queue, at, l) = (offer.queue, offer.at, world.limits);
        match self {
            Self::Site => needs.only.is_empty() || named(&needs.only, queue, needs),
            Self::Excluded => !named(&needs.never, queue, needs),
            Self::Cloud => needs.cloud.is_none() || queue.cloud == needs.cloud,
            Self::Vo => queue.vos.is_empty() || queue.vos.contains(&needs.vo),
            Self::Status => match queue.state {
                QueueState::Online => true,
                QueueState::Test => needs.is_test || exactly(needs, queue),
                QueueState::Brokeroff => exactly(needs, queue),
                QueueState::Paused | QueueState::Offline => false,
            },
            Self::Held => queue.hold.is_none(),
            Self::Label => match queue.kind {
                QueueKind::Unified => true,
                QueueKind::Analysis => needs.class != "production",
                QueueKind::Production => needs.class != "analysis",
            },
            Self::Share => {
                let zero = |name: &String| !name.is_empty() && queue.zero_shares.contains(name);
                ![&needs.share, &needs.working_group, &needs.processing_type].into_iter().any(zero)
            }
            Self::Processing => processing(queue, &needs.processing_type),
            Self::Pilot => needs.native.is_none() || queue.family != PilotFamily::OfficialGeneric,
            Self::Read => world.input.is_none() || queue.readable().all(|e| world.storages.usable(e, |e| e.readable)),
            Self::Write => queue.storage.as_ref().is_none_or(|e| world.storages.usable(e, |e| e.writable)),
            Self::Space => {
                let free = queue.storage.as_ref().and_then(|e| world.storages.endpoints.get(e)?.free_gb);
                free.is_none_or(|gb| gb >= l.min_space_gb)
            }
            Self::Disk => within(needs.disk_at(queue), queue.max_workdir_mb),
            Self::Walltime => {
                let s = needs.walltime_at(queue);
                within(s, queue.max_time_s) && (s <= 0 || s >= queue.min_time_s)
            }
            Self::Cores => cores(queue, needs),
            Self::Memory => {
                let (mb, cores) = (needs.ram_at(queue), needs.cores_at(queue));
                queue.most_ram_mb(cores, l.memory_percent).is_none_or(|most| mb <= most) && (mb <= 0 || mb >= queue.least_ram_mb(cores))
            }
            Self::Gpu => needs.gpu.as_ref().is_none_or(|g| queue.gpus.have(g)),
            Self::Cpu => queue.cpus.have(&needs.cpus),
            Self::Software => has_software(queue, needs),
            Self::Container => {
                let listed = |image: &String| queue.image_tags.iter().any(|tag| glob(tag, image));
                needs.image.as_ref().is_none_or(|image| queue.has_container && (!needs.only_tags || listed(image)))
            }
            Self::System => {
                let asked = system(needs).filter(|_| needs.same_os || needs.system.is_some());
                asked.is_none_or(|s| queue.systems.iter().any(|have| s.eq_ignore_ascii_case(have)))
            }
            Self::Network => reaches(queue, needs),
            Self::Virtual => !needs.no_virtual || !queue.is_virtual,
            Self::Nucleus => match (&needs.nucleus, &queue.storage) {
                (Some(there), Some(here)) => queue.writes_to(there) || world.storages.between(here, there).is_some(),
                _ => true,
            },
            Self::Data | Self::Transfer | Self::Io => input(self, queue, needs, world),
            _ => self.passes_by_load(offer, needs, world, at.all.queued()),
        }
    }

    fn passes_by_load(self, offer: &Offer<'_>, needs: &Needs, world: &World<'_>, queued: i64) -> bool {
        let (queue, at, l) = (offer.queue, offer.at, world.limits);
        let since = |window: i64| world.now.0.saturating_sub(window.saturating_mul(1_000_000));
        match self {
            Self::NoPilot => {
                let seen = |window| at.pilot_seen.is_some_and(|seen| seen.0 >= since(window));
                queue.allow_no_pilot || needs.is_test || l.pilot_window_s.is_none_or(seen)
            }
            Self::UserCap => {
                let live = at.by_person.get(&needs.person).map_or(0, |c| c.live());
                needs.person == 0 || l.user_cap.is_none_or(|cap| live < cap)
            }
            Self::QueueCap => {
                let cap = |cap: i64| queued < cap.max(at.all.running().saturating_mul(2));
                within(queued + 1, queue.max_queued) && l.queue_cap.is_none_or(cap)
            }
            // 8.3, 20.11 "cap per resource type"; upstream only says so and keeps the queue (section 18).
            Self::TypeCap => {
                let of_type = at.by_type.get(&needs.resource_type).copied().unwrap_or_default();
                l.type_cap.is_none_or(|(least, ratio)| bounded(of_type.queued(), least, ratio, of_type.running()))
            }
            Self::Transferring => {
                let n = at.all.jobs(&[crate::job::state::JobState::Transferring]);
                within(n, queue.transferring_limit.max(if queue.transferring_limit > 0 { at.all.running().saturating_mul(2) } else { 0 }))
            }
            Self::Overload => match l.overload {
                Some((least, offset)) => {
                    let all = ratio(world.all.queued(), world.all.running());
                    queued <= least || ratio(queued, at.all.running()) <= offset * all
                }
                None => true,
            },
            Self::Inactive => {
                // A queue that has never started a job is new, not slow.
                let slow = |window| at.all.activated() > 0 && at.last_start.is_some_and(|start| start.0 < since(window));
                !l.inactive_s.is_some_and(slow)
            }
            Self::Failure => {
                let ended = at.ended.get(&needs.person).copied().unwrap_or_default();
                l.failure_min.is_none_or(|least| ended.failed <= least.max(ended.finished.saturating_mul(2)))
            }
            Self::Moved => !needs.moved.contains_key(&queue.id),
            _ => true,
        }
    }
}

/// A span for people.
fn span(s: i64) -> String {
    match s {
        s if s > 0 && s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
fn within(need: i64, limit: i64) -> bool {
    limit <= 0 || need <= limit
}
#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn ratio(queued: i64, running: i64) -> f64 {
    queued as f64 / running.max(1) as f64
}
/// Whether `queued` is within the larger of a number and a multiple of what runs.
#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn bounded(queued: i64, least: i64, times: f64, running: i64) -> bool {
    queued as f64 <= (times * running as f64).max(least as f64)
}

/// A list of names of queues: exact, with `*`, or `QUEUE/TYPE` for jobs of that resource type (9.3).
fn named(list: &[String], queue: &Queue, needs: &Needs) -> bool {
    list.iter().any(|name| match pseudo_queue(name) {
        Some((name, kind)) if !needs.resource_type.is_empty() => kind == needs.resource_type && glob(name, &queue.name),
        _ => glob(name, &queue.name),
    })
}
/// Whether the queue is asked for by its full name.
fn exactly(needs: &Needs, queue: &Queue) -> bool {
    needs.only.iter().any(|name| pseudo_queue(name).map_or(name.as_str(), |(name, _)| name) == queue.name)
}
fn processing(queue: &Queue, kind: &str) -> bool {
    let hit = |list: &[String]| list.iter().any(|p| glob(p, kind));
    (queue.allowed_processing.is_empty() || hit(&queue.allowed_processing)) && !hit(&queue.excluded_processing)
}
/// 8.1 row 5, 9.3: as wide as the queue, no wider, and of the width that it is for.
fn cores(queue: &Queue, needs: &Needs) -> bool {
    let n = needs.cores_at(queue);
    let wide = match queue.capability {
        Capability::Any | Capability::Ucore => true,
        Capability::Score => n <= 1,
        Capability::Mcore => n > 1,
    };
    wide && within(n, queue.core_count)
}
fn has_software(queue: &Queue, needs: &Needs) -> bool {
    let any = |list: &[String]| list.is_empty() || list.iter().any(|t| t.eq_ignore_ascii_case("any"));
    let has = |list: &[String], wanted: &str| any(list) || list.iter().any(|have| glob(have, wanted));
    // A container brings its own.
    needs.image.is_some()
        || (needs.platform.as_ref().is_none_or(|p| has(&queue.platforms, p)) && needs.software.iter().all(|s| has(&queue.releases, s)))
}
fn software(needs: &Needs) -> String {
    needs.software.iter().chain(&needs.platform).cloned().collect::<Vec<_>>().join(", ")
}
/// The operating system asked for: the one that is named, else the platform's (the second word of `arch-system-compiler-mode`).
fn system(needs: &Needs) -> Option<&str> {
    let of_platform = || needs.platform.as_deref().and_then(|p| p.split('-').nth(1));
    needs.system.as_deref().or_else(of_platform)
}
fn reaches(queue: &Queue, needs: &Needs) -> bool {
    let reach = |word: &str| match word {
        "full" => 2,
        "http" => 1,
        _ => 0,
    };
    let enough = |wanted: &String| queue.connectivity.as_ref().is_none_or(|have| reach(have) >= reach(wanted));
    // Nodes that state nothing have the old version.
    let version = |v: i64| if queue.ip_versions.is_empty() { v == 4 } else { queue.ip_versions.contains(&v) };
    needs.connectivity.as_ref().is_none_or(enough) && needs.ip_version.is_none_or(version)
}

/// The filters that look at where the input is.
fn input(criterion: Criterion, queue: &Queue, needs: &Needs, world: &World<'_>) -> bool {
    let Some(input) = world.input.filter(|i| i.all.files > 0) else {
        return criterion != Criterion::Io || within(needs.io_kb_s, queue.max_io_kb_s);
    };
    let l = world.limits;
    let share: Share = input.of(queue, world.storages);
    match criterion {
        // 20.11: what is nowhere may be missing up to a bound; what is somewhere must be had.
        Criterion::Data => {
            let missing = input.missing(world.storages);
            let tolerated = missing <= l.missing_files && missing * 100 <= (100 - l.completeness) * input.all.files;
            tolerated && share.local.files + share.to_move.files + missing >= input.all.files
        }
        Criterion::Transfer => {
            share.to_move.files == 0 || (share.queued <= l.transfer_cap && l.max_cost.is_none_or(|most| share.cost <= most))
        }
        _ => {
            let much = share.to_move.bytes > l.io_move_bytes || share.to_move.files > l.io_move_files;
            within(needs.io_kb_s, queue.max_io_kb_s) && !(needs.io_kb_s > l.io_cutoff_kb_s && much)
        }
    }
}
fn data(world: &World<'_>) -> String {
    let missing = world.input.map_or(0, |i| i.missing(world.storages));
    match (missing, world.input) {
        (0, _) | (_, None) => "that cannot get the input".into(),
        (n, Some(input)) => format!("that cannot get the input, of which {n} of {} files lie at no usable storage", input.all.files),
    }
}

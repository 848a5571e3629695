//! What would free a task that no queue, or few, can take: the funnel again with one requirement relaxed.

use std::collections::{BTreeMap, BTreeSet};

use super::criterion::Criterion;
use super::needs::{Needs, Offer, World};
use super::{MAX_NAMES, passes_hard};

/// Most values of one requirement that are tried.
const MAX_VALUES: usize = 3;

/// A requirement that could be less, and what that would bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relaxation {
    /// The filter that it gets queues past.
    pub criterion: Criterion,
    /// The change, for people: "with 3500 MB of memory instead of 4000".
    pub what: String,
    /// How many queues more could take it then.
    pub more: usize,
    /// Their names, at most [`MAX_NAMES`].
    pub queues: Vec<String>,
    /// The needs as changed; the same ones when it is the queue that would have to change.
    pub needs: Needs,
    /// Filters that are then not applied.
    pub skip: u64,
}

impl Relaxation {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let names = if self.queues.len() < self.more { format!("{}, …", self.queues.join(", ")) } else { self.queues.join(", ") };
        format!("{}: {} more queue{} ({names})", self.what, self.more, if self.more == 1 { "" } else { "s" })
    }
}

/// Every single relaxation that brings a queue past all filters but those in `without`, the requirement of the task itself first. Queues that pass
/// already do not count.
pub(super) fn all(without: u64, needs: &Needs, world: &World<'_>) -> Vec<Relaxation> {
    let mut near: BTreeMap<Criterion, Vec<&Offer<'_>>> = BTreeMap::new();
    // Only a queue that falls to a single filter is one relaxation away.
    for offer in world.offers {
        let mut failed = Criterion::ALL.iter().filter(|c| !c.is_soft() && without & c.bit() == 0 && !c.passes(offer, needs, world));
        if let (Some(c), None) = (failed.next(), failed.next()) {
            near.entry(*c).or_default().push(offer);
        }
    }
    let mut out = Vec::new();
    for (criterion, offers) in near {
        for (what, relaxed, skip) in changes(criterion, &offers, needs, world) {
            let skip = skip | without;
            let queues = gained(needs, &relaxed, (without, skip), world);
            if !queues.is_empty() {
                let names = queues.iter().take(MAX_NAMES).map(|n| (*n).to_owned()).collect();
                out.push(Relaxation { criterion, what, more: queues.len(), queues: names, needs: relaxed, skip });
            }
        }
    }
    out
}

/// Queues that pass with `relaxed` and did not with `needs`; `skips`: filters that are not applied before, and then.
fn gained<'a>(needs: &Needs, relaxed: &Needs, skips: (u64, u64), world: &World<'a>) -> Vec<&'a str> {
    let more = |o: &&Offer<'_>| passes_hard(o, relaxed, world, skips.1) && !passes_hard(o, needs, world, skips.0);
    world.offers.iter().filter(more).map(|o| o.queue.name.as_str()).collect()
}

/// The changes to try for queues that fall to one filter alone.
fn changes(criterion: Criterion, offers: &[&Offer<'_>], needs: &Needs, world: &World<'_>) -> Vec<(String, Needs, u64)> {
    let with = |what: String, change: &dyn Fn(&mut Needs)| {
        let mut relaxed = needs.clone();
        change(&mut relaxed);
        (what, relaxed, 0)
    };
    // Values that queues have, the closest to what was asked for first.
    let values = |of: &dyn Fn(&Offer<'_>) -> Option<i64>, asked: i64| -> Vec<i64> {
        let set: BTreeSet<i64> = offers.iter().filter_map(|o| of(o)).filter(|v| *v > 0 && *v != asked).collect();
        let mut values: Vec<i64> = set.into_iter().collect();
        values.sort_by_key(|v| ((*v - asked).abs(), *v));
        values.truncate(MAX_VALUES);
        values
    };
    match criterion {
        Criterion::Memory => {
            let each = if needs.ram.per_core { " for each core" } else { "" };
            let admitted = |o: &Offer<'_>| {
                let (cores, mb) = (needs.cores_at(o.queue), needs.ram_at(o.queue));
                let (most, least) = (o.queue.most_ram_mb(cores, world.limits.memory_percent), o.queue.least_ram_mb(cores));
                if mb < least {
                    return Some(
                        (least - needs.ram.base_mb + if needs.ram.per_core { cores - 1 } else { 0 })
                            / if needs.ram.per_core { cores } else { 1 },
                    );
                }
                most.map(|m| needs.ram.within(m, cores))
            };
            let one = |mb: i64| with(format!("with {mb} MB of memory{each} instead of {}", needs.ram.mb), &|n| n.ram.mb = mb);
            values(&admitted, needs.ram.mb).into_iter().map(one).collect()
        }
        Criterion::Disk => {
            let one = |mb: i64| {
                with(format!("with {mb} MB of scratch space instead of {}", needs.disk_mb + needs.input_mb), &|n| {
                    n.disk_mb = mb.min(n.disk_mb);
                    n.input_mb = mb - n.disk_mb;
                })
            };
            values(&|o| Some(o.queue.max_workdir_mb), needs.disk_mb + needs.input_mb).into_iter().map(one).collect()
        }
        Criterion::Walltime => {
            let fits = |o: &Offer<'_>| {
                let s = needs.walltime_at(o.queue);
                Some(if s < o.queue.min_time_s { o.queue.min_time_s } else { o.queue.max_time_s })
            };
            let asked = needs.walltime_s.max(needs.work.base_s);
            let one = |s: i64| {
                with(format!("with {s} s of wall time instead of {asked}"), &|n| {
                    n.walltime_s = s;
                    n.work = super::Work::default();
                })
            };
            values(&fits, asked).into_iter().map(one).collect()
        }
        Criterion::Cores => {
            let one = |cores: i64| with(format!("with {cores} cores instead of {}", needs.cores), &|n| n.cores = cores);
            values(&|o| Some(o.queue.core_count.max(1)), needs.cores).into_iter().map(one).collect()
        }
        Criterion::Gpu => vec![with("without GPUs".into(), &|n| n.gpu = None)],
        Criterion::Cpu => vec![with("on any CPU".into(), &|n| n.cpus.clear())],
        Criterion::Site => vec![with("without a list of queues to use".into(), &|n| n.only.clear())],
        Criterion::Excluded => vec![with("without the list of queues to leave out".into(), &|n| n.never.clear())],
        Criterion::Cloud => vec![with("in any cloud".into(), &|n| n.cloud = None)],
        Criterion::Container => vec![with("without a container".into(), &|n| n.image = None)],
        Criterion::Nucleus => vec![with("with outputs kept where they are made".into(), &|n| n.nucleus = None)],
        Criterion::Software => vec![("with any software".into(), needs.clone(), criterion.bit())],
        Criterion::System => vec![("with any operating system".into(), needs.clone(), criterion.bit())],
        Criterion::Network => vec![("with any network".into(), needs.clone(), criterion.bit())],
        Criterion::Virtual => vec![with("with virtual placement".into(), &|n| n.no_virtual = false)],
        Criterion::Io => vec![("if less were read".into(), needs.clone(), criterion.bit())],
        Criterion::Data => vec![("with the input copied there".into(), needs.clone(), criterion.bit())],
        Criterion::Status => vec![("if they were online".into(), needs.clone(), criterion.bit())],
        Criterion::Held => vec![("if they were not held".into(), needs.clone(), criterion.bit())],
        Criterion::Vo => vec![("if they were open to the VO".into(), needs.clone(), criterion.bit())],
        Criterion::Share => vec![("with another share".into(), needs.clone(), criterion.bit())],
        Criterion::Label => vec![("with another label".into(), needs.clone(), criterion.bit())],
        Criterion::Processing => vec![("with another processing type".into(), needs.clone(), criterion.bit())],
        Criterion::Pilot => vec![("with native pilots".into(), needs.clone(), criterion.bit())],
        Criterion::Read | Criterion::Write => vec![("when their storage is back".into(), needs.clone(), criterion.bit())],
        Criterion::Space => vec![("when their storage has more free space".into(), needs.clone(), criterion.bit())],
        Criterion::Transfer => vec![("when the ways to them are free".into(), needs.clone(), criterion.bit())],
        Criterion::NoPilot => vec![("when their pilots ask".into(), needs.clone(), criterion.bit())],
        Criterion::UserCap | Criterion::QueueCap | Criterion::TypeCap | Criterion::Transferring | Criterion::Overload => {
            vec![("when jobs there have ended".into(), needs.clone(), criterion.bit())]
        }
        Criterion::Inactive | Criterion::Failure | Criterion::Moved | Criterion::Weight | Criterion::Plugin => Vec::new(),
    }
}

//! Brokerage: which queue gets a job (`spec/engine.md` section 8). Filters in a fixed order, each with its count, then a weight; what no
//! queue takes is told filter by filter, with what would free it.
//!
//! It must not know how queues are described, where counts come from, or what a VO is.

mod criterion;
#[cfg(test)]
mod edge_tests;
mod limits;
mod needs;
mod prefer;
mod relax;
#[cfg(test)]
mod tests;
mod weight;

pub use super::ram::Ram;
pub use criterion::Criterion;
pub use limits::{Limits, Term, terms};
pub use needs::{Amount, CORE_POWER_MILLI, Endpoint, Link, Locality, Needs, Offer, Share, Storages, Work, World};
pub use prefer::Preference;
pub use relax::Relaxation;

use crate::time::Random;

/// Names kept of each filter.
pub const MAX_NAMES: usize = 20;

/// What one filter took out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The filter.
    pub criterion: Criterion,
    /// What it means here.
    pub why: String,
    /// How many queues it took out.
    pub count: usize,
    /// Their names, at most [`MAX_NAMES`].
    pub queues: Vec<String>,
}

/// A queue that passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its name.
    pub queue: String,
    /// Its weight; more is better.
    pub weight: f64,
    /// Whether the task uses it already.
    pub used: bool,
}

/// The decision: the funnel, and the queues that are left.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Queues looked at.
    pub considered: usize,
    /// What each filter took out, in order; filters that took out nothing are left out.
    pub funnel: Vec<Removed>,
    /// Filters that would have left nothing, and only prefer: they were not applied.
    pub waived: Vec<Criterion>,
    /// Queues that passed every filter, those that are not kept included.
    pub passed: usize,
    /// Queues that are kept, the best first.
    pub kept: Vec<Kept>,
    /// The queue drawn for the next jobs.
    chosen: Option<usize>,
    /// What would bring more queues; only worked out when fewer pass than are kept.
    pub frees: Vec<Relaxation>,
}

/// Whether a queue passes every filter that excludes, except those in `skip`.
fn passes_hard(offer: &Offer<'_>, needs: &Needs, world: &World<'_>, skip: u64) -> bool {
    Criterion::ALL.iter().all(|c| c.is_soft() || skip & c.bit() != 0 || c.passes(offer, needs, world))
}

/// Chooses among all queues: every filter of [`Criterion`] in order, then the weight. Queues that the task uses already are kept; the rest is
/// added in descending weight, at random among equals, up to the bound (8.1). One of them is drawn by weight for the next jobs. The same
/// arguments give the same answer.
#[must_use]
pub fn decide(needs: &Needs, world: &World<'_>, random: &mut dyn Random) -> Decision {
    decide_without(0, needs, world, random)
}

/// The same without the filters in `skip`.
fn decide_without(skip: u64, needs: &Needs, world: &World<'_>, random: &mut dyn Random) -> Decision {
    let mut left: Vec<&Offer<'_>> = world.offers.iter().collect();
    let (mut funnel, mut waived) = (Vec::new(), Vec::new());
    for criterion in Criterion::ALL.iter().filter(|c| **c != Criterion::Weight && skip & c.bit() == 0) {
        // The usual case costs nothing: nobody falls.
        if left.iter().all(|o| criterion.passes(o, needs, world)) {
            continue;
        }
        let (kept, out): (Vec<&Offer<'_>>, Vec<&Offer<'_>>) = left.iter().partition(|o| criterion.passes(o, needs, world));
        if kept.is_empty() && criterion.is_soft() {
            waived.push(*criterion);
            continue;
        }
        funnel.push(removed(*criterion, out.iter().map(|o| o.queue.name.as_str()), needs, world));
        left = kept;
    }
    let mut kept: Vec<(u64, Kept)> = left
        .iter()
        .map(|o| {
            let used = world.used.contains(&o.queue.name);
            (random.next_u64(), Kept { queue: o.queue.name.clone(), weight: weight::weight(o, needs, world), used })
        })
        .collect();
    if kept.iter().any(|(_, k)| k.weight < world.limits.min_weight) {
        let (good, low): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(_, k)| k.weight >= world.limits.min_weight);
        funnel.push(removed(Criterion::Weight, low.iter().map(|(_, k)| k.queue.as_str()), needs, world));
        kept = good;
    }
    let passed = kept.len();
    let frees = if passed < world.limits.queues_kept { relax::all(skip, needs, world) } else { Vec::new() };
    kept.sort_by(|(ra, a), (rb, b)| b.weight.total_cmp(&a.weight).then(ra.cmp(rb)).then_with(|| a.queue.cmp(&b.queue)));
    let mut room = world.limits.queues_kept;
    let kept: Vec<Kept> = kept
        .into_iter()
        .map(|(_, k)| k)
        .filter(|k| {
            let take = k.used || room > 0;
            if !k.used && room > 0 {
                room -= 1;
            }
            take
        })
        .collect();
    let chosen = draw(&kept, random);
    Decision { considered: world.offers.len(), funnel, waived, passed, kept, chosen, frees }
}

fn removed<'a>(criterion: Criterion, names: impl Iterator<Item = &'a str>, needs: &Needs, world: &World<'_>) -> Removed {
    let names: Vec<&str> = names.collect();
    let queues = names.iter().take(MAX_NAMES).map(|n| (*n).to_owned()).collect();
    Removed { criterion, why: criterion.means(needs, world), count: names.len(), queues }
}

/// Draws one by weight.
fn draw(kept: &[Kept], random: &mut dyn Random) -> Option<usize> {
    draw_at(kept, |k| k.weight, random)
}
/// Draws one by weight; none when there is none.
pub(super) fn draw_by<'a, T>(kept: &'a [T], weight: impl Fn(&T) -> f64, random: &mut dyn Random) -> Option<&'a T> {
    draw_at(kept, weight, random).and_then(|at| kept.get(at))
}
fn draw_at<T>(kept: &[T], weight: impl Fn(&T) -> f64, random: &mut dyn Random) -> Option<usize> {
    /// Parts of the whole that a drawn number is read in: the bits of a double.
    const BITS: u32 = 53;
    let total: f64 = kept.iter().map(&weight).sum();
    if kept.is_empty() || !total.is_finite() || total <= 0.0 {
        return if kept.is_empty() { None } else { Some(0) };
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let mut at = (random.next_u64() >> (64 - BITS)) as f64 / (1_u64 << BITS) as f64 * total;
    for (i, k) in kept.iter().enumerate() {
        let w = weight(k);
        if at < w {
            return Some(i);
        }
        at -= w;
    }
    Some(kept.len() - 1)
}

impl Decision {
    /// The queue drawn for the next jobs.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        self.chosen.and_then(|i| self.kept.get(i)).map(|k| k.queue.as_str())
    }
    /// Draws one of the queues that are kept, by weight.
    #[must_use]
    pub fn draw(&self, random: &mut dyn Random) -> Option<&str> {
        draw(&self.kept, random).and_then(|i| self.kept.get(i)).map(|k| k.queue.as_str())
    }
    /// One sentence: why no queue is left.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.considered == 0 {
            return "there is no queue; add one with `panda queue add NAME`".into();
        }
        let part = |r: &Removed| {
            let more = if r.queues.len() < r.count { ", …" } else { "" };
            format!("{} {} ({}{more})", r.count, r.why, r.queues.join(", "))
        };
        format!("no queue of {} can take it: {}", self.considered, self.funnel.iter().map(part).collect::<Vec<_>>().join("; "))
    }
}

/// Whether an online queue offers what jobs with these needs ask for and has a way to their nucleus, however busy it is now.
#[must_use]
pub fn reaches(needs: &Needs, world: &World<'_>) -> bool {
    let counts = |c: &&Criterion| !c.changes() || matches!(c, Criterion::Status | Criterion::Nucleus);
    world.offers.iter().any(|o| Criterion::ALL.iter().filter(counts).all(|c| c.passes(o, needs, world)))
}

/// Whether a job can ever run.
#[derive(Debug, Clone, PartialEq)]
pub enum Feasible {
    /// A queue could take it now.
    Now,
    /// No queue now, though one offers all that it needs; the sentence says what holds it.
    Later(String),
    /// No queue offers what it needs; the sentence says what each one lacks, and what would free it.
    Never(String),
}

/// Whether jobs with these needs can run at all: now, later, or never with the queues as they are described.
#[must_use]
pub fn feasible(needs: &Needs, world: &World<'_>) -> Feasible {
    if let Some(why) = never(needs, world) {
        return Feasible::Never(why);
    }
    let decision = decide(needs, world, &mut crate::time::SplitMix64::new(0));
    if decision.passed > 0 { Feasible::Now } else { Feasible::Later(decision.sentence()) }
}

/// Why no queue, as they are described, can ever take jobs with these needs: what each one lacks, and what would free it; none = one could, now
/// or later. Where one could, the rest is not looked at.
#[must_use]
pub fn never(needs: &Needs, world: &World<'_>) -> Option<String> {
    // What passes by waiting is not what keeps it from running.
    let waits = Criterion::ALL.iter().filter(|c| c.changes()).fold(0, |set, c| set | c.bit());
    if world.offers.iter().any(|o| passes_hard(o, needs, world, waits)) {
        return None;
    }
    let decision = decide_without(waits, needs, world, &mut crate::time::SplitMix64::new(0));
    let frees: Vec<String> = decision.frees.iter().take(MAX_FREES).map(Relaxation::sentence).collect();
    let would = if frees.is_empty() { String::new() } else { format!("; {}", frees.join("; ")) };
    Some(format!("{}{would}", decision.sentence()))
}

/// Relaxations told in one sentence.
const MAX_FREES: usize = 3;

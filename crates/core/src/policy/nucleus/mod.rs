//! The nucleus of a task: the storage endpoint that its outputs go to (`spec/engine.md` sections 5.8, 8.4, 20.11). Filters in a fixed order, each
//! with its count, then a draw by weight.
//!
//! It must not know how endpoints are described, how files of tasks are counted, or what a VO is.

mod criterion;
#[cfg(test)]
mod tests;

pub use criterion::Criterion;

use super::broker::{Amount, Endpoint, Locality, MAX_NAMES, draw_by};
use crate::setting::{Values, nucleus as s};
use crate::time::Random;

/// The cloud with which a task asks for a nucleus, as upstream's tasks do; it stands for all queues.
pub const WORLD: &str = "WORLD";
/// Bytes of a GB.
const GB: i64 = 1_000_000_000;

/// An endpoint that is marked as a nucleus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// What is known of it.
    pub endpoint: &'a Endpoint,
    /// Input files that the tasks which keep their outputs there have still to process.
    pub backlog_files: i64,
    /// Whether a queue takes the task's jobs and has a way to it.
    pub is_reached: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Where the input is; none = there is none, or it is everywhere.
    pub input: Option<&'a Locality>,
    /// Input and output of a job, kB/s; 0 = not stated.
    pub io_kb_s: i64,
    /// Priority of the task.
    pub priority: i64,
    /// How long it has waited for a nucleus, seconds.
    pub waited_s: i64,
}

/// Thresholds and weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Least free space, GB.
    pub min_space_gb: i64,
    /// Free space above which more does not count, GB.
    pub space_cap_gb: i64,
    /// Backlog above which the weight is divided.
    pub backlog_files: i64,
    /// Most backlog.
    pub max_backlog_files: Option<i64>,
    /// Factor of tapes.
    pub tape_weight: f64,
    /// Bytes of input from which it must be there.
    pub input_bytes: i64,
    /// Files of input from which they must be there.
    pub input_files: i64,
    /// Per cent of the bytes.
    pub input_percent: i64,
    /// Per cent of the files.
    pub files_percent: i64,
    /// kB/s up to which a job may be away from its input.
    pub io_kb_s: i64,
    /// Bytes of input up to which it may be moved.
    pub move_bytes: i64,
    /// Priority from which the input need not be there.
    pub priority: i64,
    /// Seconds after which the input need not be there.
    pub data_wait_s: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::read(&Values::default(), "", "")
    }
}

impl Limits {
    /// The limits of a VO and label.
    #[must_use]
    pub fn read(v: &Values, vo: &str, label: &str) -> Self {
        let int = |setting| v.int(setting, vo, label);
        Self {
            min_space_gb: int(&s::MIN_SPACE_GB),
            space_cap_gb: int(&s::SPACE_CAP_GB).max(1),
            backlog_files: int(&s::BACKLOG_FILES).max(1),
            max_backlog_files: v.opt_int(&s::MAX_BACKLOG_FILES, vo, label),
            tape_weight: v.float(&s::TAPE_WEIGHT, vo, label),
            input_bytes: int(&s::INPUT_GB).saturating_mul(GB),
            input_files: int(&s::INPUT_FILES),
            input_percent: int(&s::INPUT_PERCENT),
            files_percent: int(&s::FILES_PERCENT),
            io_kb_s: int(&s::IO_KB_S),
            move_bytes: int(&s::MOVE_GB).saturating_mul(GB),
            priority: int(&s::PRIORITY),
            data_wait_s: int(&s::DATA_WAIT_S),
        }
    }
}

/// What one filter took out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The filter.
    pub criterion: Criterion,
    /// What it means here.
    pub why: String,
    /// How many it took out.
    pub count: usize,
    /// Their names, at most [`MAX_NAMES`].
    pub names: Vec<String>,
}

/// A nucleus that passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its weight; more is better.
    pub weight: f64,
}

/// The decision: the funnel, and what is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Endpoints that are marked as nuclei.
    pub considered: usize,
    /// What each filter took out, in order; filters that took out nothing are left out.
    pub funnel: Vec<Removed>,
    /// Filters that were not applied ([`Criterion::Data`]).
    pub waived: Vec<Criterion>,
    /// Those that pass, the best first.
    pub kept: Vec<Kept>,
    /// The one drawn.
    pub chosen: Option<String>,
}

/// Chooses among the endpoints that are marked as nuclei: every filter in order (8.4), then a draw by free space × availability of the input /
/// backlog (20.11). The same arguments give the same answer.
#[must_use]
pub fn decide(candidates: &[Candidate<'_>], ask: &Ask<'_>, limits: &Limits, random: &mut dyn Random) -> Decision {
    let mut left: Vec<&Candidate<'_>> = candidates.iter().collect();
    let (mut funnel, mut waived) = (Vec::new(), Vec::new());
    for criterion in Criterion::ALL {
        let (kept, out): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) = left.iter().partition(|c| criterion.passes(c, ask, limits));
        if out.is_empty() {
            continue;
        }
        if *criterion == Criterion::Data && is_waived(ask, limits, kept.is_empty()) {
            waived.push(*criterion);
            continue;
        }
        let names = out.iter().take(MAX_NAMES).map(|c| c.name.to_owned()).collect();
        funnel.push(Removed { criterion: *criterion, why: criterion.means(limits), count: out.len(), names });
        left = kept;
    }
    // When none has any of it they are equal in that.
    let nowhere = left.iter().all(|c| availability(c, ask) <= 0.0);
    let mut kept: Vec<Kept> = left
        .iter()
        .map(|c| Kept { name: c.name.to_owned(), weight: weight(c, if nowhere { 1.0 } else { availability(c, ask) }, limits) })
        .collect();
    kept.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    let chosen = draw_by(&kept, |k| k.weight, random).map(|k| k.name.clone());
    Decision { considered: candidates.len(), funnel, waived, kept, chosen }
}

/// 20.11: the input need not be there after a while; nor when no nucleus has it and the jobs read little and the input can be moved, or the task
/// is urgent.
fn is_waived(ask: &Ask<'_>, limits: &Limits, none_left: bool) -> bool {
    let bytes = ask.input.map_or(0, |i| i.all.bytes);
    let movable = ask.io_kb_s <= limits.io_kb_s && bytes <= limits.move_bytes;
    ask.waited_s >= limits.data_wait_s || (none_left && (movable || ask.priority >= limits.priority))
}

/// What of the input a nucleus has.
fn local(candidate: &Candidate<'_>, input: &Locality) -> Amount {
    let own = input.at.get(candidate.name).filter(|_| candidate.endpoint.readable).copied().unwrap_or_default();
    Amount { files: own.files + input.anywhere.files, bytes: own.bytes + input.anywhere.bytes }
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes; a weight is an estimate")]
fn part(of: i64, all: i64) -> f64 {
    of.max(0) as f64 / all.max(1) as f64
}

/// The part of the input that is there, 0 to 1.
fn availability(candidate: &Candidate<'_>, ask: &Ask<'_>) -> f64 {
    let Some(input) = ask.input.filter(|i| i.all.files > 0) else { return 1.0 };
    let here = local(candidate, input);
    if input.all.bytes > 0 { part(here.bytes, input.all.bytes) } else { part(here.files, input.all.files) }
}

/// Free space (capped) × availability / backlog; a tape counts little (20.11).
fn weight(candidate: &Candidate<'_>, availability: f64, limits: &Limits) -> f64 {
    let free = candidate.endpoint.free_gb.map_or(1.0, |gb| part(gb.min(limits.space_cap_gb), limits.space_cap_gb));
    let backlog = part(candidate.backlog_files, limits.backlog_files).max(1.0);
    let tape = if candidate.endpoint.is_tape { limits.tape_weight } else { 1.0 };
    free * availability / backlog * tape
}

impl Decision {
    /// One sentence: what was chosen, or why nothing was.
    #[must_use]
    pub fn sentence(&self) -> String {
        let part = |r: &Removed| {
            let more = if r.names.len() < r.count { ", …" } else { "" };
            format!("{} {} ({}{more})", r.count, r.why, r.names.join(", "))
        };
        match &self.chosen {
            Some(name) => format!("{name} was drawn among {} nuclei that fit; {} were looked at", self.kept.len(), self.considered),
            None if self.considered == 0 => {
                "no storage endpoint is marked as a nucleus; `panda storage set NAME nucleus=true` marks one".to_owned()
            }
            None => format!(
                "no nucleus of {} can keep its outputs: {}",
                self.considered,
                self.funnel.iter().map(part).collect::<Vec<_>>().join("; ")
            ),
        }
    }
    /// What would bring a nucleus, by filter: one sentence each.
    #[must_use]
    pub fn frees(&self) -> Vec<String> {
        if self.chosen.is_some() {
            return Vec::new();
        }
        self.funnel.iter().map(|r| format!("{}: {}", r.criterion.frees(), r.names.join(", "))).collect()
    }
}

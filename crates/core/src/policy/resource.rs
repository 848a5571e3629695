//! Resource types of jobs, and how many workers of each a queue should get (`spec/engine.md` sections 9.3, 9.4, 20.4 and 20.5).
//!
//! It must not know where the table of types is kept, nor who starts workers.

use std::collections::BTreeMap;

/// Memory for each core, MB, above which a job counts as `HIMEM` (9.3).
pub const HIMEM_MB: i64 = 2_000;
/// Cores of a job whose number is 0, any number (20.4).
pub const ANY_CORES: i64 = 8;

/// A resource type: bounds of cores and of memory for each core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// Name.
    pub name: String,
    /// Least cores.
    pub min_cores: i64,
    /// Most cores; None = any.
    pub max_cores: Option<i64>,
    /// MB for each core, exclusive: more than this.
    pub above_mb: i64,
    /// MB for each core; None = any.
    pub max_mb: Option<i64>,
}

/// The table of types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types(Vec<Type>);

impl Default for Types {
    fn default() -> Self {
        let make = |name: &str, cores: (i64, Option<i64>), mb: (i64, Option<i64>)| Type {
            name: name.to_owned(),
            min_cores: cores.0,
            max_cores: cores.1,
            above_mb: mb.0,
            max_mb: mb.1,
        };
        Self(vec![
            make("SCORE", (1, Some(1)), (-1, Some(HIMEM_MB))),
            make("SCORE_HIMEM", (1, Some(1)), (HIMEM_MB, None)),
            make("MCORE", (2, None), (-1, Some(HIMEM_MB))),
            make("MCORE_HIMEM", (2, None), (HIMEM_MB, None)),
        ])
    }
}

impl Types {
    /// A table.
    ///
    /// # Errors
    /// A sentence: no types, a name twice or too long, bounds that nothing fits.
    pub fn new(types: Vec<Type>) -> Result<Self, String> {
        if types.is_empty() {
            return Err("no resource types are given".into());
        }
        for (i, t) in types.iter().enumerate() {
            if t.name.is_empty() || t.name.len() > 20 || t.name.contains(['/', ' ']) {
                return Err(format!("resource type `{}`: a name has 1 to 20 characters without `/` and blanks", t.name));
            }
            if types[..i].iter().any(|o| o.name == t.name) {
                return Err(format!("resource type `{}` is there twice", t.name));
            }
            if t.max_cores.is_some_and(|m| m < t.min_cores) || t.max_mb.is_some_and(|m| m <= t.above_mb) {
                return Err(format!("resource type `{}`: no job fits its bounds", t.name));
            }
        }
        Ok(Self(types))
    }
    /// The types, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Type> {
        self.0.iter()
    }
    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|t| t.name.as_str())
    }
    /// The type of a job: the first whose bounds it fits; the last one when none does. `ram_mb` is for the whole job.
    #[must_use]
    pub fn of(&self, cores: i64, ram_mb: i64) -> &str {
        let cores = if cores == 0 { ANY_CORES } else { cores.max(1) };
        let fits = |t: &Type| {
            cores >= t.min_cores
                && t.max_cores.is_none_or(|m| cores <= m)
                && (t.above_mb < 0 || ram_mb > t.above_mb.saturating_mul(cores))
                && t.max_mb.is_none_or(|m| ram_mb <= m.saturating_mul(cores))
        };
        self.0.iter().find(|t| fits(t)).or(self.0.last()).map_or("SCORE", |t| t.name.as_str())
    }
}

/// Queue and resource type of a pseudo queue `PQ/TYPE` (9.3); None when the name is none.
#[must_use]
pub fn pseudo_queue(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('/').filter(|(queue, kind)| !queue.is_empty() && !kind.is_empty())
}

/// Memory, MB, that a job may ask for to run in a slot of `memory_mb`, which must have `percent` of it (20.4: MEMORY_COMPENSATION 0.9).
#[must_use]
pub const fn fits_in(memory_mb: i64, percent: i64) -> i64 {
    memory_mb.saturating_mul(100) / if percent > 0 { percent } else { 100 }
}

/// Queued workers of a queue, in cores: so many percent of the running cores (20.5).
pub const QUEUED_PERCENT: i64 = 40;
/// Or so many times the cores of its slots, whichever is more (20.5).
pub const QUEUED_SLOTS: i64 = 75;
/// Least cores asked for at a time, in slots, even when enough are queued (20.5).
pub const LEAST_SLOTS: i64 = 5;

/// Activated jobs of a queue, as a group in the order in which they would be handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// Resource type.
    pub resource_type: &'a str,
    /// Cores of each.
    pub cores: i64,
    /// How many.
    pub n: i64,
}

/// What a queue has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workers {
    /// Cores of a slot.
    pub slot_cores: i64,
    /// Cores of running workers.
    pub running_cores: i64,
    /// Least number that running cores are taken for (`params.ups_core_target`).
    pub core_target: i64,
    /// Queued workers by resource type: how many, and cores of each.
    pub queued: BTreeMap<String, (i64, i64)>,
}

/// New workers by resource type (20.5). Jobs that queued workers will take are left to them.
#[must_use]
pub fn worker_targets(queue: &Workers, waiting: &[Waiting<'_>]) -> BTreeMap<String, i64> {
    let mut out = BTreeMap::new();
    if waiting.iter().all(|w| w.n <= 0) {
        // One small worker a cycle finds out whether the queue works.
        out.insert("SCORE".to_owned(), 1);
        return out;
    }
    let slot = queue.slot_cores.max(1);
    let running = queue.running_cores.max(queue.core_target);
    let target = (running.saturating_mul(QUEUED_PERCENT) / 100).max(QUEUED_SLOTS * slot);
    let queued: i64 = queue.queued.values().map(|(n, cores)| n.saturating_mul((*cores).max(1))).sum();
    let mut room = (target - queued).max(LEAST_SLOTS * slot);
    let mut taken: BTreeMap<&str, i64> = BTreeMap::new();
    for w in waiting {
        let cores = if w.cores <= 0 { slot } else { w.cores };
        let there = queue.queued.get(w.resource_type).map_or(0, |(n, _)| *n);
        let taken = taken.entry(w.resource_type).or_default();
        let left = (there - *taken).clamp(0, w.n.max(0));
        *taken += left;
        let n = (w.n - left).min((room + cores - 1) / cores).max(0);
        if n > 0 {
            *out.entry(w.resource_type.to_owned()).or_insert(0) += n;
            room -= n * cores;
        }
        if room <= 0 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// engine.md 9.3, 20.4: HIMEM above 2000 MB for each core; 0 cores count as 8.
    #[test]
    fn types_of_jobs() {
        let types = Types::default();
        let cases = [
            (1, 2_000, "SCORE"),
            (8, 16_000, "MCORE"),
            (1, 2_001, "SCORE_HIMEM"),
            (8, 16_001, "MCORE_HIMEM"),
            (0, 16_000, "MCORE"),
            (0, 16_001, "MCORE_HIMEM"),
            (1, 0, "SCORE"),
            (-1, 0, "SCORE"),
        ];
        for (cores, ram, expected) in cases {
            assert_eq!(types.of(cores, ram), expected, "{cores} cores, {ram} MB");
        }
    }

    #[test]
    fn a_site_has_its_own_types() {
        let make = |name: &str, min_cores, max_cores| Type { name: name.into(), min_cores, max_cores, above_mb: -1, max_mb: None };
        let types = Types::new(vec![make("SMALL", 1, Some(4)), make("LARGE", 5, None)]).unwrap();
        assert_eq!((types.of(4, 100_000), types.of(5, 0)), ("SMALL", "LARGE"));
        assert_eq!(types.names().collect::<Vec<_>>(), ["SMALL", "LARGE"]);
        assert!(Types::new(vec![]).unwrap_err().contains("no resource types"));
        assert!(Types::new(vec![make("A", 1, None), make("A", 1, None)]).unwrap_err().contains("twice"));
        assert!(Types::new(vec![make("A", 3, Some(2))]).unwrap_err().contains("no job fits"));
        assert!(Types::new(vec![make("A/B", 1, None)]).unwrap_err().contains("without `/`"));
    }

    #[test]
    fn pseudo_queues_and_memory() {
        assert_eq!(pseudo_queue("SITE_A/MCORE"), Some(("SITE_A", "MCORE")));
        assert_eq!(pseudo_queue("SITE_A"), None);
        assert_eq!(pseudo_queue("SITE_A/"), None);
        assert_eq!(fits_in(1_800, 90), 2_000);
    }

    /// engine.md 20.5: max(0.4 × running, 75 × slot) less what is queued, 5 slots at least; 1 SCORE when nothing is activated.
    #[test]
    fn targets_of_workers() {
        let queue = |slot_cores, running_cores, queued: &[(&str, i64, i64)]| Workers {
            slot_cores,
            running_cores,
            core_target: 0,
            queued: queued.iter().map(|(k, n, c)| ((*k).to_owned(), (*n, *c))).collect(),
        };
        let wait = |n| [Waiting { resource_type: "SCORE", cores: 1, n }];
        let score = |q: &Workers, w: &[Waiting<'_>]| worker_targets(q, w).get("SCORE").copied().unwrap_or(0);
        assert_eq!(score(&queue(1, 0, &[]), &[]), 1);
        assert_eq!(score(&queue(1, 0, &[]), &wait(1_000)), 75);
        assert_eq!(score(&queue(1, 1_000, &[]), &wait(1_000)), 400);
        assert_eq!(score(&queue(1, 1_000, &[("SCORE", 390, 1)]), &wait(1_000)), 10);
        assert_eq!(score(&queue(1, 1_000, &[("SCORE", 400, 1)]), &wait(1_000)), 5, "the least number goes even so");
        assert_eq!(score(&queue(1, 1_000, &[("SCORE", 400, 1)]), &wait(300)), 0, "they are left to the queued ones");
        assert_eq!(score(&queue(1, 0, &[]), &wait(3)), 3, "never more than jobs");
        assert_eq!(score(&Workers { core_target: 5_000, ..queue(1, 0, &[]) }, &wait(9_000)), 2_000);
        let two = [Waiting { resource_type: "MCORE", cores: 8, n: 50 }, Waiting { resource_type: "SCORE", cores: 1, n: 5_000 }];
        let found = worker_targets(&queue(8, 0, &[]), &two);
        assert_eq!((found["MCORE"], found["SCORE"]), (50, 200), "75 slots of 8 cores are 600");
    }
}

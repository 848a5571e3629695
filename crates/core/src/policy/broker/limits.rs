//! Thresholds and weights of the broker, from the settings of a VO and label.

use crate::setting::{Values, broker as s, dispatch::MEMORY_PERCENT};
use crate::words::word_enum;

word_enum! {
    /// A factor of a queue's weight.
    Term, "term" {
        /// `(running + 1) / (activated + defined + 1) / (defined + 1)` (`spec/engine.md` 8.1).
        Load = "load",
        /// `(running + 1) / (activated + defined + starting + 10)`, for input to be moved less with more assigned jobs (20.11).
        Production = "production",
        /// `(all + local bytes) / all / (files to move / 100 + 1)` (20.11).
        Locality = "locality",
        /// 1 for what is there; less with the cost, or the hours, of the ways that input takes.
        Network = "network",
        /// Free space of the storage, up to 1 at the bound of the nucleus (20.11: 1000 TB).
        Space = "space",
        /// `(finished + 1) / (finished + failed + 1)` of the owner's jobs that ended lately.
        Success = "success",
    }
}

/// Thresholds and weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Per cent of a job's memory that a slot must have.
    pub memory_percent: i64,
    /// Least free space of a storage, GB.
    pub min_space_gb: i64,
    /// How far back a pilot must have been seen, seconds; none = not looked at.
    pub pilot_window_s: Option<i64>,
    /// How far back a job must have started where jobs wait, seconds; none = not looked at.
    pub inactive_s: Option<i64>,
    /// Live jobs of a person at a queue.
    pub user_cap: Option<i64>,
    /// Waiting jobs at a queue, or twice the running ones if that is more.
    pub queue_cap: Option<i64>,
    /// Waiting jobs of a resource type: a number, or so many times the running ones if that is more.
    pub type_cap: Option<(i64, f64)>,
    /// Waiting jobs up to which a queue is never overloaded, and how far above the ratio of all queues it may be.
    pub overload: Option<(i64, f64)>,
    /// Failed jobs of the owner up to which a queue is kept.
    pub failure_min: Option<i64>,
    /// Files of the input that may be nowhere.
    pub missing_files: i64,
    /// Per cent of the input that must be somewhere.
    pub completeness: i64,
    /// Files that may wait on a way.
    pub transfer_cap: i64,
    /// Dearest way.
    pub max_cost: Option<i64>,
    /// kB/s above which a job reads much.
    pub io_cutoff_kb_s: i64,
    /// Bytes to be moved for such a job.
    pub io_move_bytes: i64,
    /// Files to be moved for such a job.
    pub io_move_files: i64,
    /// Queues kept.
    pub queues_kept: usize,
    /// Least weight.
    pub min_weight: f64,
    /// Terms of the weight with their exponents.
    pub terms: Vec<(Term, f64)>,
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
        let opt = |setting| v.opt_int(setting, vo, label);
        Self {
            memory_percent: int(&MEMORY_PERCENT),
            min_space_gb: int(&s::MIN_SPACE_GB),
            pilot_window_s: opt(&s::PILOT_WINDOW_S),
            inactive_s: opt(&s::INACTIVE_S).filter(|n| *n > 0),
            user_cap: opt(&s::USER_CAP),
            queue_cap: opt(&s::QUEUE_CAP),
            type_cap: opt(&s::TYPE_CAP).map(|n| (n, v.float(&s::TYPE_CAP_RATIO, vo, label))),
            overload: v.opt_float(&s::OVERLOAD_RATIO, vo, label).map(|offset| (int(&s::OVERLOAD_MIN), offset)),
            failure_min: opt(&s::FAILURE_MIN).filter(|n| *n > 0),
            missing_files: int(&s::MISSING_FILES),
            completeness: int(&s::COMPLETENESS_PERCENT),
            transfer_cap: int(&s::TRANSFER_CAP),
            max_cost: opt(&s::MAX_COST),
            io_cutoff_kb_s: int(&s::IO_CUTOFF_KB_S),
            io_move_bytes: int(&s::IO_MOVE_GB).saturating_mul(1_000_000_000),
            io_move_files: int(&s::IO_MOVE_FILES),
            queues_kept: usize::try_from(int(&s::QUEUES_KEPT)).unwrap_or(usize::MAX).max(1),
            min_weight: v.float(&s::MIN_WEIGHT, vo, label),
            terms: terms(v.text(&s::WEIGHT, vo, label)).unwrap_or_else(|_| vec![(Term::Load, 1.0)]),
        }
    }
}

/// Reads `term=exponent,…`.
///
/// # Errors
/// A sentence.
pub fn terms(text: &str) -> Result<Vec<(Term, f64)>, String> {
    let mut out: Vec<(Term, f64)> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        let (name, exponent) = item.split_once('=').unwrap_or((item, "1"));
        let term = Term::parse(name.trim()).map_err(|e| e.to_string())?;
        let exponent = exponent.trim().parse::<f64>().ok().filter(|e| e.is_finite() && *e >= 0.0);
        let exponent = exponent.ok_or_else(|| format!("`{item}`: an exponent of at least 0 is expected"))?;
        if out.iter().any(|(t, _)| *t == term) {
            return Err(format!("{term} stands twice"));
        }
        out.push((term, exponent));
    }
    if out.is_empty() { Err("no term is given; the neutral one is `load=1`".into()) } else { Ok(out) }
}

//! Whether more jobs may be made (`spec/engine.md` sections 10, 20.9 and 20.10): the throttle of a share and resource type, and the caps of
//! users, groups and VOs.
//!
//! It must not know where counts and limits come from.

use crate::words::word_enum;

/// Least and greatest bunch of jobs (20.10).
pub const BUNCH: (i64, i64) = (500, 600);
/// Bunches that may be queued when no limit is given (20.10).
pub const BUNCHES: i64 = 4;
/// Pending wall time, seconds, from which on enough is queued (20.10).
pub const ENOUGH_WALLTIME_S: i64 = 50_000_000;
/// Waiting jobs: at most so many times the running ones, or so many bunches, whichever is more (20.10).
pub const WAITING_PER_RUNNING: i64 = 4;
/// See [`WAITING_PER_RUNNING`].
pub const WAITING_BUNCHES: i64 = 2;
/// Part of a bunch made at a time, and of the cap of queued jobs where there is one (20.10).
pub const PASS_PART: i64 = 2;
/// See [`PASS_PART`].
pub const PASS_PART_OF_CAP: i64 = 5;
/// Below this percentage of its limit a share is short of jobs (20.10) and gets a twentieth of the limit at least.
pub const SHORT_PERCENT: i64 = 90;
/// See [`SHORT_PERCENT`].
pub const SHORT_PART: i64 = 20;

/// Jobs of one VO, label, share and resource type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Jobs {
    /// With pilots.
    pub running: i64,
    /// Ready for a pilot, or on the way to it.
    pub queued: i64,
    /// Not yet at a queue.
    pub defined: i64,
    /// Waiting for something.
    pub waiting: i64,
    /// Wall time of the queued ones, seconds; None = not known, which counts as enough.
    pub walltime_s: Option<i64>,
    /// Highest priority among the queued ones.
    pub top_priority: Option<i64>,
}

/// Limits in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Queued for each running one.
    pub threshold: f64,
    /// Queued jobs; None = four bunches.
    pub queue: Option<i64>,
    /// Most running jobs.
    pub running_cap: Option<i64>,
    /// Most queued jobs.
    pub queue_cap: Option<i64>,
}

/// The kinds of configured limits (20.10: the first word of their keys).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// `NQUEUELIMIT`.
    QueueLimit,
    /// `NRUNNINGCAP`.
    RunningCap,
    /// `NQUEUECAP`.
    QueueCap,
}

impl Tag {
    /// As keys begin.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::QueueLimit => "NQUEUELIMIT",
            Self::RunningCap => "NRUNNINGCAP",
            Self::QueueCap => "NQUEUECAP",
        }
    }
}

/// The configured limit of a share and resource type: by the exact key `TAG_share_TYPE`, by the family `TAG_share_SCORE*` or `..._MCORE*`, by the
/// share `TAG_share` (section 10).
pub fn limit(find: &dyn Fn(&str) -> Option<i64>, tag: Tag, share: &str, resource_type: &str) -> Option<i64> {
    let base = format!("{}_{share}", tag.word());
    let family = if resource_type.starts_with("MCORE") { "MCORE" } else { "SCORE" };
    find(&format!("{base}_{resource_type}")).or_else(|| find(&format!("{base}_{family}*"))).or_else(|| find(&base))
}

word_enum! {
    /// Which row of section 10 holds jobs back.
    Row, "throttle" {
        /// None runs and more than the limit are queued.
        NoRunning = "no_running",
        /// Too many are queued for each running one, and more than the limit.
        Ratio = "queued_per_running",
        /// More than the limit are defined.
        Defined = "defined",
        /// Too many wait.
        Waiting = "waiting",
        /// More run than may.
        RunningCap = "running_cap",
        /// More are queued than may.
        QueueCap = "queue_cap",
    }
}

/// What the throttle says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Make jobs, at most so many.
    Pass {
        /// Jobs.
        at_most: i64,
    },
    /// Throttled, but this task goes before everything that is queued: make at most so many.
    Higher {
        /// Jobs.
        at_most: i64,
        /// The row that holds the others.
        row: Row,
    },
    /// Make none (merge jobs excepted).
    Skip {
        /// Why.
        row: Row,
        /// The number that was found.
        found: i64,
        /// What it must not exceed.
        limit: i64,
    },
}

/// Jobs of a bunch.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "clamped to a few hundred")]
pub fn bunch(jobs: &Jobs, threshold: f64) -> i64 {
    ((jobs.running as f64 * threshold) as i64).saturating_sub(jobs.queued).clamp(BUNCH.0, BUNCH.1)
}

/// Section 10, for a task of this priority. `user`: its jobs have a label of users, whose priorities say nothing about urgency.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below the 53 bits of a double")]
pub fn verdict(jobs: &Jobs, limits: &Limits, priority: i64, user: bool) -> Verdict {
    let bunch = bunch(jobs, limits.threshold);
    let limit = limits.queue.unwrap_or(BUNCHES * bunch);
    let enough = jobs.walltime_s.is_none_or(|w| w > ENOUGH_WALLTIME_S);
    let most_waiting = (WAITING_PER_RUNNING * jobs.running).max(WAITING_BUNCHES * bunch);
    let above = |cap: Option<i64>, n: i64| cap.filter(|c| n > *c);
    let skip = if jobs.running == 0 && jobs.queued > limit && enough {
        Some((Row::NoRunning, jobs.queued, limit))
    } else if jobs.running > 0 && jobs.queued as f64 > limits.threshold * jobs.running as f64 && jobs.queued > limit && enough {
        Some((Row::Ratio, jobs.queued, limit))
    } else if jobs.defined > limit {
        Some((Row::Defined, jobs.defined, limit))
    } else if jobs.waiting > most_waiting {
        Some((Row::Waiting, jobs.waiting, most_waiting))
    } else if let Some(cap) = above(limits.running_cap, jobs.running) {
        Some((Row::RunningCap, jobs.running, cap))
    } else {
        above(limits.queue_cap, jobs.queued).map(|cap| (Row::QueueCap, jobs.queued, cap))
    };
    let part = limits.queue_cap.map_or(bunch / PASS_PART, |cap| cap / PASS_PART_OF_CAP).max(1);
    match skip {
        Some((row, ..)) if !user && jobs.top_priority.is_some_and(|top| priority > top) => Verdict::Higher { at_most: part, row },
        Some((row, found, limit)) => Verdict::Skip { row, found, limit },
        None => {
            let short = jobs.queued * 100 < SHORT_PERCENT * limit || jobs.queued < jobs.running;
            Verdict::Pass { at_most: if short { part.max(limit / SHORT_PART) } else { part } }
        }
    }
}

/// One sentence: which limit holds jobs of a share back, and what frees them.
#[must_use]
pub fn sentence(share: &str, resource_type: &str, row: Row, found: i64, limit: i64, running: i64) -> String {
    let of = format!("share `{share}` has {found} {resource_type} jobs");
    match row {
        Row::NoRunning => {
            format!("{of} queued and none running; its limit is {limit}. Jobs are made again when fewer are queued or some run")
        }
        Row::Ratio => {
            format!("{of} queued for {running} running ones; its limit is {limit}. Jobs are made again when fewer are queued or more run")
        }
        Row::Defined => format!("{of} that are not at a queue yet; its limit is {limit}. Jobs are made again when these are activated"),
        Row::Waiting => {
            format!("{of} that wait for inputs or libraries; its limit is {limit}. Jobs are made again when these are activated")
        }
        Row::RunningCap => format!("{of} running; its cap is {limit}. Jobs are made again when some have ended"),
        Row::QueueCap => format!("{of} queued; its cap is {limit}. Jobs are made again when some have started"),
    }
}

/// What a user, group or VO may have running (20.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cap {
    /// Jobs.
    pub jobs: Option<i64>,
    /// Cores.
    pub cores: Option<i64>,
}

/// Factors of caps (20.9).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Queued jobs: at most so many times the cap.
    pub queued: f64,
    /// Part of the cap from which on nothing more starts.
    pub hold: f64,
    /// Part of the cap below which jobs start again.
    pub release: f64,
}

/// What a user, group or VO has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Has {
    /// Jobs with pilots.
    pub running: i64,
    /// Their cores.
    pub running_cores: i64,
    /// Jobs that could start.
    pub queued: i64,
    /// Their cores.
    pub queued_cores: i64,
    /// Jobs held back by a cap.
    pub held: i64,
}

/// A cap that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// `jobs` or `cores`.
    pub unit: &'static str,
    /// Whether it is the queued ones that are too many.
    pub queued: bool,
    /// How many there are.
    pub found: i64,
    /// From which number on nothing more is made.
    pub limit: i64,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a cap is far below the 53 bits of a double")]
fn part(cap: i64, factor: f64) -> i64 {
    // The least whole number that reaches it; a product that is whole but for rounding counts as whole.
    (cap as f64 * factor - 1e-6).ceil() as i64
}

/// Whether no more jobs may be made for whoever has this.
#[must_use]
pub fn reached(cap: &Cap, has: &Has, factors: &Factors) -> Option<Reached> {
    let units = [("jobs", cap.jobs, has.running, has.queued), ("cores", cap.cores, has.running_cores, has.queued_cores)];
    for (unit, cap, running, queued) in units {
        let Some(cap) = cap else { continue };
        let (most_running, most_queued) = (part(cap, factors.hold), part(cap, factors.queued));
        if running >= most_running {
            return Some(Reached { unit, queued: false, found: running, limit: most_running });
        }
        if queued >= most_queued {
            return Some(Reached { unit, queued: true, found: queued, limit: most_queued });
        }
    }
    None
}

impl Reached {
    /// One sentence for `whose` ("user `a`").
    #[must_use]
    pub fn sentence(&self, whose: &str) -> String {
        let (Self { unit, found, limit, .. }, what) = (self, if self.queued { "queued" } else { "running" });
        let frees = if self.queued { "some have started" } else { "some have ended" };
        format!("{whose} has {found} {unit} {what}; the cap lets jobs be made below {limit}. They are made again when {frees}")
    }
}

/// What to do with queued jobs so that a cap is not exceeded by what starts next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// Nothing.
    Stay,
    /// Hold back so many queued jobs.
    Hold(i64),
    /// Let so many held jobs go.
    Release(i64),
}

/// Keeps queued jobs within what may still start: from `hold` of the cap on nothing starts, below `release` held jobs come back.
#[must_use]
pub fn shift(cap: &Cap, has: &Has, factors: &Factors) -> Shift {
    let per_job = |cores: i64, jobs: i64| if jobs > 0 { (cores / jobs).max(1) } else { 1 };
    // In jobs: what may still start, and whether so little runs that held jobs come back.
    let (mut room, mut low, mut any) = (i64::MAX, true, false);
    let units = [
        (cap.jobs, has.running, 1),
        (cap.cores, has.running_cores, per_job(has.running_cores + has.queued_cores, has.running + has.queued)),
    ];
    for (cap, running, weight) in units {
        let Some(cap) = cap else { continue };
        any = true;
        let free = if running >= part(cap, factors.hold) { 0 } else { (cap - running) / weight };
        room = room.min(free.max(0));
        low &= running < part(cap, factors.release);
    }
    if !any {
        return if has.held > 0 { Shift::Release(has.held) } else { Shift::Stay };
    }
    if has.queued > room {
        Shift::Hold(has.queued - room)
    } else if low && has.held > 0 && has.queued < room {
        Shift::Release(has.held.min(room - has.queued))
    } else {
        Shift::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { threshold: 2.0, queue: None, running_cap: None, queue_cap: None };

    fn at(running: i64, queued: i64) -> Jobs {
        Jobs { running, queued, ..Jobs::default() }
    }

    /// engine.md 10: bunch = clamp(running × threshold − queued, 500, 600).
    #[test]
    fn bunches() {
        assert_eq!(bunch(&at(0, 0), 2.0), 500);
        assert_eq!(bunch(&at(1_000, 1_450), 2.0), 550);
        assert_eq!(bunch(&at(1_000, 0), 2.0), 600);
    }

    /// engine.md 10 and 20.10: every row of the table, just below and just above.
    #[test]
    fn each_row_of_the_throttle() {
        let row = |jobs: Jobs, limits: Limits| match verdict(&jobs, &limits, 0, false) {
            Verdict::Skip { row, found, limit } => Some((row, found, limit)),
            _ => None,
        };
        assert_eq!(row(at(0, 2_000), LIMITS), None);
        assert_eq!(row(at(0, 2_001), LIMITS), Some((Row::NoRunning, 2_001, 2_000)));
        assert_eq!(row(Jobs { walltime_s: Some(50_000_000), ..at(0, 2_001) }, LIMITS), None);
        assert_eq!(row(Jobs { walltime_s: Some(50_000_001), ..at(0, 2_001) }, LIMITS), Some((Row::NoRunning, 2_001, 2_000)));
        assert_eq!(row(at(1_001, 2_002), LIMITS), None, "two for each");
        assert_eq!(row(at(1_000, 2_001), LIMITS), Some((Row::Ratio, 2_001, 2_000)));
        assert_eq!(row(Jobs { walltime_s: Some(1), ..at(1_000, 2_001) }, LIMITS), None);
        assert_eq!(row(Jobs { defined: 2_000, ..at(0, 0) }, LIMITS), None);
        assert_eq!(row(Jobs { defined: 2_001, ..at(0, 0) }, LIMITS), Some((Row::Defined, 2_001, 2_000)));
        assert_eq!(row(Jobs { waiting: 1_000, ..at(0, 0) }, LIMITS), None);
        assert_eq!(row(Jobs { waiting: 1_001, ..at(0, 0) }, LIMITS), Some((Row::Waiting, 1_001, 1_000)));
        assert_eq!(row(Jobs { waiting: 4_001, ..at(1_000, 0) }, LIMITS), Some((Row::Waiting, 4_001, 4_000)));
        let capped = Limits { running_cap: Some(10), queue_cap: Some(20), ..LIMITS };
        assert_eq!(row(at(10, 20), capped), None);
        assert_eq!(row(at(11, 20), capped), Some((Row::RunningCap, 11, 10)));
        assert_eq!(row(at(10, 21), capped), Some((Row::QueueCap, 21, 20)));
        assert_eq!(row(at(0, 101), Limits { queue: Some(100), ..LIMITS }), Some((Row::NoRunning, 101, 100)));
    }

    /// engine.md 10: half a bunch, or a fifth of the cap; a share that is short of jobs gets a twentieth of its limit at least.
    #[test]
    fn how_many_pass() {
        let pass = |jobs: Jobs, limits: Limits| match verdict(&jobs, &limits, 0, false) {
            Verdict::Pass { at_most } => at_most,
            other => panic!("{other:?}"),
        };
        assert_eq!(pass(at(0, 1_900), LIMITS), 250);
        assert_eq!(pass(at(0, 0), Limits { queue: Some(100_000), ..LIMITS }), 5_000);
        assert_eq!(pass(at(50_000, 95_000), Limits { queue: Some(100_000), ..LIMITS }), 300);
        assert_eq!(pass(at(99_000, 95_000), Limits { queue: Some(100_000), ..LIMITS }), 5_000, "fewer than run");
        assert_eq!(pass(at(0, 450), Limits { queue_cap: Some(500), queue: Some(460), ..LIMITS }), 100);
    }

    /// engine.md 10: a waiting task of higher priority than anything queued proceeds; labels of users do not.
    #[test]
    fn higher_priority_goes_on() {
        let jobs = Jobs { top_priority: Some(500), ..at(0, 5_000) };
        assert_eq!(verdict(&jobs, &LIMITS, 501, false), Verdict::Higher { at_most: 250, row: Row::NoRunning });
        assert!(matches!(verdict(&jobs, &LIMITS, 500, false), Verdict::Skip { .. }));
        assert!(matches!(verdict(&jobs, &LIMITS, 501, true), Verdict::Skip { .. }));
    }

    /// engine.md 10: exact key, then the family of types, then the share.
    #[test]
    fn keys_fall_back() {
        let keys = [("NQUEUELIMIT_Sim_MCORE_HIMEM", 1), ("NQUEUELIMIT_Sim_MCORE*", 2), ("NQUEUELIMIT_Sim", 3), ("NQUEUECAP_Sim_SCORE*", 4)];
        let find = |key: &str| keys.iter().find(|(k, _)| *k == key).map(|(_, n)| *n);
        let at = |tag, kind| limit(&find, tag, "Sim", kind);
        assert_eq!(at(Tag::QueueLimit, "MCORE_HIMEM"), Some(1));
        assert_eq!(at(Tag::QueueLimit, "MCORE"), Some(2));
        assert_eq!(at(Tag::QueueLimit, "SCORE"), Some(3));
        assert_eq!(at(Tag::QueueCap, "SCORE_HIMEM"), Some(4));
        assert_eq!(at(Tag::RunningCap, "SCORE"), None);
    }

    const FACTORS: Factors = Factors { queued: 2.0, hold: 0.95, release: 0.85 };

    /// engine.md 20.9: hold at 0.95 of the cap, queued at twice the cap.
    #[test]
    fn caps_of_users_and_groups() {
        let cap = Cap { jobs: Some(100), cores: Some(200) };
        let has = |running, queued, running_cores| Has { running, queued, running_cores, ..Has::default() };
        assert_eq!(reached(&cap, &has(94, 199, 0), &FACTORS), None);
        assert_eq!(reached(&cap, &has(95, 0, 0), &FACTORS), Some(Reached { unit: "jobs", queued: false, found: 95, limit: 95 }));
        assert_eq!(reached(&cap, &has(0, 200, 0), &FACTORS), Some(Reached { unit: "jobs", queued: true, found: 200, limit: 200 }));
        let cores = reached(&cap, &has(30, 0, 190), &FACTORS).unwrap();
        assert_eq!(
            cores.sentence("user `alice`"),
            "user `alice` has 190 cores running; the cap lets jobs be made below 190. They are made again when some have ended"
        );
        assert_eq!(reached(&Cap::default(), &has(1_000_000, 0, 0), &FACTORS), None);
    }

    /// engine.md 20.9: throttle at 0.95, release at 0.85; and never more queued than may still start.
    #[test]
    fn queued_jobs_are_held_and_released() {
        let cap = Cap { jobs: Some(100), cores: None };
        let has = |running, queued, held| Has { running, queued, held, ..Has::default() };
        assert_eq!(shift(&cap, &has(0, 1_000, 0), &FACTORS), Shift::Hold(900));
        assert_eq!(shift(&cap, &has(95, 5, 0), &FACTORS), Shift::Hold(5));
        assert_eq!(shift(&cap, &has(94, 6, 900), &FACTORS), Shift::Stay);
        assert_eq!(shift(&cap, &has(90, 0, 900), &FACTORS), Shift::Stay, "between release and hold");
        assert_eq!(shift(&cap, &has(84, 0, 900), &FACTORS), Shift::Release(16));
        assert_eq!(shift(&cap, &has(10, 80, 3), &FACTORS), Shift::Release(3));
        assert_eq!(shift(&Cap::default(), &has(10, 80, 3), &FACTORS), Shift::Release(3), "the cap was taken away");
        let cores = Cap { jobs: None, cores: Some(80) };
        let eight = Has { running: 2, running_cores: 16, queued: 20, queued_cores: 160, held: 0 };
        assert_eq!(shift(&cores, &eight, &FACTORS), Shift::Hold(12));
    }
}

//! Rebrokerage: which waiting jobs are taken away from their queue, to choose another (`spec/engine.md` sections 13.1 and 20.3).
//!
//! It must not know how jobs are counted or ended, nor whether there is another queue for them.

use crate::job::state::JobState;
use crate::queue::QueueState;
use crate::setting::{Values, rebroker as s};
use crate::time::Micros;

/// States that count as waiting (13.1: nQ).
pub const WAITING: &[JobState] = &[JobState::Defined, JobState::Assigned, JobState::Activated, JobState::Starting];
/// Those of them that no pilot has: what a congested queue gives away.
pub const FREE: &[JobState] = &[JobState::Defined, JobState::Assigned, JobState::Activated];
/// States that a job which got on is in, or has ended in.
pub const PROGRESS: &[JobState] =
    &[JobState::Running, JobState::Holding, JobState::Transferring, JobState::Merging, JobState::Finished, JobState::Failed];

/// Bounds of a VO and label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Waiting jobs that a queue keeps in any case; none = congested queues keep all.
    pub fast_queued: Option<i64>,
    /// Waiting jobs for each running one.
    pub fast_ratio: f64,
    /// Part of all waiting jobs of the share.
    pub fast_fraction: f64,
    /// Seconds that an analysis job waits; 0 = for ever.
    pub idle_s: i64,
    /// The same at a closed queue.
    pub closed_s: i64,
    /// Seconds that count as recent.
    pub progress_s: i64,
}

impl Limits {
    /// The bounds of a VO and label.
    #[must_use]
    pub fn read(v: &Values, vo: &str, label: &str) -> Self {
        Self {
            fast_queued: v.opt_int(&s::FAST_QUEUED, vo, label),
            fast_ratio: v.float(&s::FAST_RATIO, vo, label),
            fast_fraction: v.float(&s::FAST_FRACTION, vo, label),
            idle_s: v.int(&s::IDLE_S, vo, label),
            closed_s: v.int(&s::CLOSED_S, vo, label),
            progress_s: v.int(&s::PROGRESS_S, vo, label),
        }
    }
}

/// Jobs of a share at one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In [`WAITING`].
    pub queued: i64,
    /// Running.
    pub running: i64,
}

/// How many waiting jobs a congested queue gives away: what is above the largest of the three bounds. `of_share`: waiting jobs of the share at all
/// queues.
#[must_use]
pub fn excess(at: Counts, of_share: i64, limits: &Limits) -> i64 {
    let Some(least) = limits.fast_queued else { return 0 };
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts of jobs are far below 2^52")]
    let bound = (at.running as f64 * limits.fast_ratio).max(of_share as f64 * limits.fast_fraction).min(9e15) as i64;
    (at.queued - bound.max(least)).max(0)
}

/// An analysis job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Since when it is in its state.
    pub since: Micros,
    /// State of its queue.
    pub queue: QueueState,
}

impl Limits {
    /// How long an analysis job waits at a queue in this state, seconds; none = for ever.
    #[must_use]
    pub fn limit(&self, queue: QueueState) -> Option<i64> {
        let limit_s = match queue {
            QueueState::Offline | QueueState::Test => self.closed_s,
            QueueState::Online | QueueState::Brokeroff | QueueState::Paused => self.idle_s,
        };
        Some(limit_s).filter(|s| *s > 0)
    }
    /// Whether a job has waited for so long that it is taken away unless its task gets on there: the limit, seconds.
    #[must_use]
    pub fn overdue(&self, stay: &Stay, now: Micros) -> Option<i64> {
        self.limit(stay.queue).filter(|s| now.0.saturating_sub(stay.since.0) > s.saturating_mul(1_000_000))
    }
    /// From when on a start or an end of another job of the task at the queue counts as getting on.
    #[must_use]
    pub const fn progress_since(&self, now: Micros) -> Micros {
        Micros(now.0.saturating_sub(self.progress_s.saturating_mul(1_000_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fast(least: Option<i64>) -> Limits {
        Limits { fast_queued: least, ..Limits::read(&Values::default(), "amber", "user") }
    }

    /// engine.md 13.1, 20.3: more than 3 for each running one, than 0.3 of the share's, and than the minimum, which is off as shipped.
    #[test]
    fn a_congested_queue_gives_the_excess_away() {
        let at = |queued, running| Counts { queued, running };
        assert_eq!(excess(at(1_000, 0), 1_000, &fast(None)), 0, "off as shipped");
        let limits = fast(Some(10));
        for (queued, running, of_share, want) in [
            (30, 10, 30, 0), // 3 for each running one
            (31, 10, 31, 1),
            (10, 0, 10, 0), // the minimum
            (11, 0, 11, 1),
            (30, 0, 100, 0), // 0.3 of the share's
            (31, 0, 100, 1),
            (90, 20, 200, 30), // the largest of the three
            (5, 0, 5, 0),
        ] {
            assert_eq!(
                excess(at(queued, running), of_share, &limits),
                want,
                "{queued} waiting, {running} running, {of_share} of the share"
            );
        }
    }

    /// 13.1, 20.3: 12 h; 3 h at offline and test queues; 0 = never.
    #[test]
    fn analysis_jobs_wait_for_so_long() {
        let (now, limits) = (Micros::from_hours(100), fast(None));
        let due = |queue, hours: i64, over: i64, limits: &Limits| {
            limits.overdue(&Stay { since: Micros((now - Micros::from_hours(hours)).0 - over), queue }, now)
        };
        for (queue, hours) in [
            (QueueState::Online, 12),
            (QueueState::Brokeroff, 12),
            (QueueState::Paused, 12),
            (QueueState::Offline, 3),
            (QueueState::Test, 3),
        ] {
            assert_eq!((due(queue, hours, 0, &limits), due(queue, hours, 1, &limits)), (None, Some(hours * 3_600)), "{queue}");
        }
        let never = Limits { idle_s: 0, closed_s: 0, ..limits };
        assert_eq!((due(QueueState::Online, 99, 0, &never), due(QueueState::Test, 99, 0, &never)), (None, None));
        assert_eq!(limits.progress_since(now), Micros::from_hours(97));
    }

    /// What counts as waiting never counts as getting on, and what is given away waits.
    #[test]
    fn waiting_and_getting_on_are_apart() {
        assert!(WAITING.iter().all(|s| !PROGRESS.contains(s)) && FREE.iter().all(|s| WAITING.contains(s)));
        assert!(PROGRESS.iter().all(|s| !matches!(s, JobState::Cancelled | JobState::Closed)), "what was taken away did not get on");
    }
}

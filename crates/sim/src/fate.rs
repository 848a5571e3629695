//! What will happen to a job, drawn when a pilot takes it. It depends on the seed, the job and the attempt only, not on who was asked before.

use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, LogNormal};
use rand_pcg::Pcg64Mcg;

use crate::scenario::{Kind, Queues};

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Well.
    Well,
    /// The payload or the site fails.
    Fails,
    /// Nothing is heard of the pilot any more.
    Silent,
    /// It says that it stored an output, which is not there.
    Missing,
}

/// A job's future.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    /// How it ends.
    pub end: End,
    /// Microseconds from start to end of the payload.
    pub takes_us: i64,
    /// Of the time on a core of speed 1, seconds.
    pub work_s: f64,
    /// Whether its last report is sent twice.
    pub repeats: bool,
}

/// Mixes a number well (the finaliser of splitmix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A generator for one purpose of one thing.
pub(crate) fn chance(seed: u64, purpose: u64, thing: i64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(mix(seed ^ mix(purpose ^ mix(thing.cast_unsigned()))))
}

/// Draws the fate of a job.
pub(crate) fn of(seed: u64, job: i64, kind: &Kind, queue: &Queues, repeated_percent: f64) -> Fate {
    let mut rng = chance(seed, 1, job);
    let percent = |rng: &mut Pcg64Mcg| rng.random::<f64>() * 100.0;
    let draw = percent(&mut rng);
    let bounds = [queue.silent_percent, queue.missing_percent, queue.fail_percent + kind.fail_percent];
    let end = if draw < bounds[0] {
        End::Silent
    } else if draw < bounds[0] + bounds[1] {
        End::Missing
    } else if draw < bounds.iter().sum() {
        End::Fails
    } else {
        End::Well
    };
    let median_s = kind.minutes * 60.0;
    // Sigma is checked with the scenario; the median stands in for what cannot be drawn.
    let whole_s = LogNormal::new(median_s.ln(), kind.spread).map_or(median_s, |d| d.sample(&mut rng));
    // A failure comes at any moment.
    let work_s = if end == End::Fails { whole_s * rng.random::<f64>() } else { whole_s };
    let repeats = percent(&mut rng) < repeated_percent;
    #[expect(clippy::cast_possible_truncation, reason = "a time of work, saturating")]
    let takes_us = ((work_s / queue.speed).max(1.0) * 1e6) as i64;
    Fate { end, takes_us, work_s, repeats }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_follow_their_percentages_and_the_seed() {
        let kind = Kind { fail_percent: 10.0, minutes: 60.0, spread: 0.5, ..Kind::default() };
        let queue = Queues { silent_percent: 2.0, missing_percent: 3.0, fail_percent: 5.0, speed: 2.0, ..Queues::default() };
        let all: Vec<Fate> = (0..20_000).map(|job| of(7, job, &kind, &queue, 1.0)).collect();
        let part = |end: End| all.iter().filter(|f| f.end == end).count() as f64 / 200.0;
        assert!((part(End::Fails) - 15.0).abs() < 1.0 && (part(End::Silent) - 2.0).abs() < 0.5, "{}", part(End::Fails));
        assert!((part(End::Missing) - 3.0).abs() < 0.5);
        let mut well: Vec<i64> = all.iter().filter(|f| f.end == End::Well).map(|f| f.takes_us).collect();
        well.sort_unstable();
        let median_s = well[well.len() / 2] as f64 / 1e6;
        assert!((median_s - 1_800.0).abs() < 50.0, "{median_s}");
        assert_eq!(all[5], of(7, 5, &kind, &queue, 1.0));
        assert_ne!(all[5].takes_us, of(8, 5, &kind, &queue, 1.0).takes_us);
    }
}

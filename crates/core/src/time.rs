//! Instants, and the two things `core` never makes itself: the present time and random numbers.
//!
//! It must not know time zones or texts of dates: those are made at the edges.

use std::fmt;
use std::ops::{Add, Sub};

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// An instant, or a span between two: microseconds, UTC, since 1970-01-01. This is also the number in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// The start of 1970, and the empty span.
    pub const ZERO: Self = Self(0);

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of whole seconds, or an instant given in seconds since 1970.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// A span of whole minutes.
    #[must_use]
    pub const fn from_mins(minutes: i64) -> Self {
        Self::from_secs(minutes.saturating_mul(60))
    }

    /// A span of whole hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_mins(hours.saturating_mul(60))
    }

    /// A span of whole days.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days.saturating_mul(24))
    }

    /// The bare number of microseconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Seconds with their fraction, for people and for old wires.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "microseconds of this era fit the 53 bits of a double")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// How long ago `earlier` was, never negative: clocks of two machines may disagree.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        let span = self.0.saturating_sub(earlier.0);
        if span < 0 { Self::ZERO } else { Self(span) }
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, span: Self) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the present time comes from: a program's wall clock, a test's or the simulator's own.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Micros;
}

/// Where random numbers come from.
pub trait Random {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`, evenly distributed enough for choosing (multiply-shift); 0 when `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

/// A small deterministic generator (Steele, Lea, Flood: SplitMix64), for replay, tests and the simulator; not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Starts the sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }
}

impl Random for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_run_backwards() {
        assert_eq!(Micros(5).since(Micros(9)), Micros::ZERO);
        assert_eq!(Micros::from_secs(3).since(Micros::from_secs(1)), Micros(2_000_000));
        assert_eq!(Micros(-1).as_secs(), -1);
        assert_eq!(Micros::from_days(1).as_secs(), 86_400);
        assert_eq!(Micros(i64::MAX) + Micros(1), Micros(i64::MAX));
    }

    #[test]
    fn split_mix_follows_its_published_sequence() {
        // First numbers of the reference implementation for seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        assert!((0..100).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
    }
}

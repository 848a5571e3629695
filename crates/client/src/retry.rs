//! Waiting times between attempts.
//!
//! Owns the back-off; must not know what is being retried.

use std::time::Duration;

/// How often one call is tried again.
///
/// A call is repeated when no connection could be made (the server has seen
/// nothing) and, for GET, also when the connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means no retry.
    pub attempts: u32,
    /// Pause before the second attempt; doubles with each further one.
    pub first_pause: Duration,
    /// Longest pause.
    pub max_pause: Duration,
}

impl RetryPolicy {
    /// One attempt: for callers that have their own back-off.
    pub const NONE: Self = Self { attempts: 1, first_pause: Duration::ZERO, max_pause: Duration::ZERO };
}

impl Default for RetryPolicy {
    /// Three attempts within a second: enough for a server that restarts its
    /// listener, short enough for a person who mistyped the address.
    fn default() -> Self {
        Self { attempts: 3, first_pause: Duration::from_millis(200), max_pause: Duration::from_secs(5) }
    }
}

/// Growing pauses with jitter, so that many workers do not come back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Pauses of `first`, 2 x `first`, ... up to `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, first, max }
    }

    /// The next pause: between half and all of the current step.
    pub fn pause(&mut self) -> Duration {
        let step = self.next.min(self.max);
        self.next = step.saturating_mul(2).min(self.max);
        step / 2 + (step / 2).mul_f64(jitter())
    }

    /// Starts again from the first step.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A number in 0..1. The standard library's hasher keys are random per
/// instance, which is all the randomness a jitter needs.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for step in [1u64, 2, 4, 8, 16, 30, 30] {
            let pause = backoff.pause();
            assert!(pause >= Duration::from_secs(step) / 2, "{pause:?} at {step}");
            assert!(pause <= Duration::from_secs(step), "{pause:?} at {step}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_secs(1));
    }
}

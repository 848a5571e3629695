//! Whether a file, a job or a task is tried again, and what changes then (`spec/engine.md` sections 3.4, 3.6, 4.3 and 11).
//!
//! Rules are matched in [`rule`]; what a matching rule does to memory, time and input is in files of its own. It must not know where rules are
//! stored, nor how a file's row is written.

pub mod input;
pub mod memory;
pub mod rule;
pub mod shipped;
pub mod task;
pub mod time;

/// Attempts of a file when its task says nothing (`spec/engine.md` 20.7).
pub const DEFAULT_MAX_ATTEMPT: i64 = 3;
/// Attempts that a job of a user gets beyond its present one (`spec/engine.md` 3.4).
const USER_JOB_ADDS: i64 = 2;

/// Attempts of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// `attemptNr`: attempts that have ended.
    pub attempt: i64,
    /// `maxAttempt`.
    pub max_attempt: i64,
    /// `failedAttempt`: those of them that failed.
    pub failed: i64,
    /// `maxFailure`, if limited.
    pub max_failure: Option<i64>,
}

impl Attempts {
    /// Whether another attempt may be made.
    #[must_use]
    pub fn may_try(&self) -> bool {
        self.attempt < self.max_attempt && self.max_failure.is_none_or(|most| self.failed < most)
    }
    /// With one more attempt behind.
    #[must_use]
    pub const fn spent(self) -> Self {
        Self { attempt: self.attempt + 1, ..self }
    }
    /// With one more failure.
    #[must_use]
    pub const fn failed(self) -> Self {
        Self { failed: self.failed + 1, ..self }
    }
}

/// How often the files of a job that ended badly may be tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Again {
    /// As often as they allow.
    #[default]
    Usual,
    /// Not again.
    Never,
    /// At most so many attempts in all.
    AtMost(i64),
}

/// What the retry rules say of a job that ended badly, as far as attempts are concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How often.
    pub again: Again,
    /// The system's fault: the failure does not count against the files (`maxFailure` + 1).
    pub not_counted: bool,
}

impl Verdict {
    /// No rule says anything.
    pub const USUAL: Self = Self { again: Again::Usual, not_counted: false };

    /// Attempts of a file after a bad end that is booked already.
    #[must_use]
    pub fn bound(&self, now: Attempts) -> Attempts {
        let max_attempt = match self.again {
            Again::Usual => now.max_attempt,
            Again::Never => now.max_attempt.min(now.attempt),
            Again::AtMost(most) => now.max_attempt.min(most.max(now.attempt)),
        };
        Attempts { max_attempt, max_failure: now.max_failure.map(|most| most + i64::from(self.not_counted)), ..now }
    }
    /// Whether nothing is tried again.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self.again, Again::Never | Again::AtMost(..=1))
    }
}

/// `maxAttempt` of a job without a task, or of a user's: -1 means no retry, too small means two more.
#[must_use]
pub fn job_max_attempt(label: &str, attempt: i64, asked: i64) -> i64 {
    match label {
        "user" | "panda" | "ptest" if asked == -1 => attempt,
        "user" | "panda" | "ptest" if asked <= attempt => attempt + USER_JOB_ADDS,
        _ => asked.max(attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THREE: Attempts = Attempts { attempt: 0, max_attempt: 3, failed: 0, max_failure: None };

    fn after(file: &Attempts, verdict: Verdict) -> Attempts {
        verdict.bound(file.spent().failed())
    }

    #[test]
    fn three_attempts_then_no_more() {
        let mut file = THREE;
        let mut tries = 0;
        while file.may_try() {
            file = after(&file, Verdict::USUAL);
            tries += 1;
        }
        assert_eq!(tries, 3);
        let again = |again| Verdict { again, not_counted: false };
        assert!(!after(&THREE, again(Again::Never)).may_try());
        assert!(after(&THREE, again(Again::AtMost(2))).may_try());
        assert!(!after(&THREE, again(Again::AtMost(1))).may_try());
        assert_eq!(after(&THREE, again(Again::AtMost(9))).max_attempt, 3, "a limit never adds attempts");
    }

    #[test]
    fn failures_of_the_system_are_not_counted() {
        let limited = Attempts { max_failure: Some(1), ..THREE };
        assert!(!after(&limited, Verdict::USUAL).may_try());
        let system = after(&limited, Verdict { again: Again::Usual, not_counted: true });
        assert_eq!((system.failed, system.max_failure, system.may_try()), (1, Some(2), true));
    }

    #[test]
    fn attempts_of_jobs_without_a_task() {
        assert_eq!((job_max_attempt("user", 1, -1), job_max_attempt("user", 1, 0), job_max_attempt("user", 1, 4)), (1, 3, 4));
        assert_eq!(job_max_attempt("managed", 1, 0), 1);
    }

    proptest! {
        #[test]
        fn attempts_always_end(max_attempt in 0_i64..30, max_failure in proptest::option::of(0_i64..30)) {
            let mut file = Attempts { max_attempt, max_failure, ..THREE };
            for _ in 0..=30 {
                if file.may_try() {
                    file = after(&file, Verdict { again: Again::Usual, not_counted: true });
                }
            }
            prop_assert!(!file.may_try());
        }
    }
}

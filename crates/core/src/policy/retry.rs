//! Whether a file, a job or a task is tried again, and what changes then (`spec/engine.md` sections 3.4, 3.6, 4.3 and 11).
//!
//! It must not know how errors are matched to rules: the matching rule's action comes in.

/// Attempts of a file when its task says nothing (`spec/engine.md` 20.7).
pub const DEFAULT_MAX_ATTEMPT: i64 = 3;
/// Attempts that `retry` of a task adds (`spec/engine.md` 20.7).
pub const TASK_RETRY_ADDS: i64 = 5;
/// Attempts that a job of a user gets beyond its present one (`spec/engine.md` 3.4).
const USER_JOB_ADDS: i64 = 2;
/// Memory steps in MB (per core, for tasks that count so), `spec/engine.md` section 11.
pub const RAM_LADDER: &[i64] = &[1_000, 2_000, 3_000, 4_000, 6_000, 8_000];

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
}

/// What an error rule wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Never again.
    NoRetry,
    /// At most so many attempts.
    LimitRetry(i64),
    /// More memory, one step of the ladder.
    IncreaseMemory,
    /// The error is the system's, not the payload's: it is not counted as a failure.
    NotCounted,
}

/// Attempts after a failed attempt has been booked and the action taken.
#[must_use]
pub fn after_failure(before: &Attempts, action: Option<Action>) -> Attempts {
    let mut now = Attempts { attempt: before.attempt + 1, failed: before.failed + 1, ..*before };
    match action {
        Some(Action::NoRetry) => now.max_attempt = now.max_attempt.min(now.attempt),
        Some(Action::LimitRetry(most)) => now.max_attempt = now.max_attempt.min(most.max(now.attempt)),
        Some(Action::NotCounted) => now.max_failure = now.max_failure.map(|most| most + 1),
        Some(Action::IncreaseMemory) | None => {}
    }
    now
}

/// The next step of the memory ladder above what a job had; `None` above the last step.
/// `ram_mb` is what the job was given, `base_mb` the part that does not grow with cores.
#[must_use]
pub fn more_memory(ram_mb: i64, base_mb: i64, cores: i64) -> Option<i64> {
    let per_core = (ram_mb - base_mb).max(0) / cores.max(1);
    RAM_LADDER.iter().copied().find(|step| *step > per_core)
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

/// `maxAttempt` of a file after its task is retried.
#[must_use]
pub fn after_task_retry(max_attempt: i64, attempt: i64) -> i64 {
    max_attempt.max(attempt) + TASK_RETRY_ADDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THREE: Attempts = Attempts { attempt: 0, max_attempt: 3, failed: 0, max_failure: None };

    #[test]
    fn three_attempts_then_no_more() {
        let mut file = THREE;
        let mut tries = 0;
        while file.may_try() {
            file = after_failure(&file, None);
            tries += 1;
        }
        assert_eq!(tries, 3);
        assert!(!after_failure(&THREE, Some(Action::NoRetry)).may_try());
        assert!(after_failure(&THREE, Some(Action::LimitRetry(2))).may_try());
        assert!(!after_failure(&THREE, Some(Action::LimitRetry(1))).may_try());
        let limited = Attempts { max_failure: Some(1), ..THREE };
        assert!(!after_failure(&limited, None).may_try());
        assert!(after_failure(&limited, Some(Action::NotCounted)).may_try());
    }

    #[test]
    fn memory_and_limits() {
        assert_eq!(more_memory(2_000, 0, 1), Some(3_000));
        assert_eq!(more_memory(16_500, 500, 8), Some(3_000));
        assert_eq!(more_memory(8_000, 0, 1), None);
        assert_eq!((job_max_attempt("user", 1, -1), job_max_attempt("user", 1, 0), job_max_attempt("user", 1, 4)), (1, 3, 4));
        assert_eq!(job_max_attempt("managed", 1, 0), 1);
        assert_eq!(after_task_retry(3, 3), 8);
    }

    proptest! {
        #[test]
        fn attempts_always_end(max_attempt in 0_i64..30, max_failure in proptest::option::of(0_i64..30)) {
            let mut file = Attempts { max_attempt, max_failure, ..THREE };
            for _ in 0..=30 {
                if file.may_try() {
                    file = after_failure(&file, Some(Action::NotCounted));
                }
            }
            prop_assert!(!file.may_try());
        }
    }
}

//! The `StatusCode` numbers of the pilot protocol.
//!
//! Owns the numbers and their names (pilot protocol sheet, section 4.1). Must
//! not know when a server gives which.

use serde::{Deserialize, Serialize};

/// What a server tells a pilot beside, or in place of, a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub enum StatusCode {
    /// 0: done as asked.
    Success,
    /// 10: the server ran out of time.
    TimedOut,
    /// 20: no job for this pilot.
    NoJobs,
    /// 30: the server failed.
    Failed,
    /// 50: a value of the request is not allowed.
    Invalid,
    /// 60: the caller lacks the role.
    Role,
    /// 70: the caller lacks the permission.
    Permission,
    /// 80: the key asked for is missing.
    KeyMissing,
    /// 90: the proxy could not be given.
    ProxyError,
}

impl StatusCode {
    /// The number that travels.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            StatusCode::Success => 0,
            StatusCode::TimedOut => 10,
            StatusCode::NoJobs => 20,
            StatusCode::Failed => 30,
            StatusCode::Invalid => 50,
            StatusCode::Role => 60,
            StatusCode::Permission => 70,
            StatusCode::KeyMissing => 80,
            StatusCode::ProxyError => 90,
        }
    }
}

impl From<StatusCode> for i64 {
    fn from(code: StatusCode) -> i64 {
        code.number()
    }
}

/// A number that is no status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a pilot status code")]
pub struct UnknownStatusCode(
    /// The number that came.
    pub i64,
);

impl TryFrom<i64> for StatusCode {
    type Error = UnknownStatusCode;

    fn try_from(number: i64) -> Result<Self, UnknownStatusCode> {
        Ok(match number {
            0 => StatusCode::Success,
            10 => StatusCode::TimedOut,
            20 => StatusCode::NoJobs,
            30 => StatusCode::Failed,
            50 => StatusCode::Invalid,
            60 => StatusCode::Role,
            70 => StatusCode::Permission,
            80 => StatusCode::KeyMissing,
            90 => StatusCode::ProxyError,
            other => return Err(UnknownStatusCode(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways() {
        for n in [0, 10, 20, 30, 50, 60, 70, 80, 90] {
            assert_eq!(StatusCode::try_from(n).map(StatusCode::number), Ok(n));
        }
        assert!(StatusCode::try_from(5).is_err());
    }
}

//! How a runner ends: exit status, error report, the one line that pilots read.
//!
//! Owns the numbers of `payload_runners.md` section 8 in our form (section
//! 9.2). Must not know what the runners do.

use std::path::Path;
use std::process::ExitStatus;

use serde_json::json;

/// Report codes are `5000 + offset of the runner + number`.
const REPORT_BASE: i64 = 5000;

/// Own failures exit with `200 + number`: pilots give meanings of their own to
/// 2, 3 and 251, and take 255 for success.
const EXIT_BASE: i32 = 200;

/// Longest diagnosis that is written; the server keeps 500 characters.
const MAX_DIAG_CHARS: usize = 500;

/// The failures a runner can have of its own; the discriminant is the number
/// that upstream's runners use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// Missing or unknown argument.
    Argument = 1,
    /// Software set-up that this runner does not have.
    Setup = 2,
    /// The sandbox could not be fetched.
    NotFetched = 3,
    /// ROOT is not there.
    NoRoot = 4,
    /// The file catalogue is bad.
    Catalogue = 5,
    /// Experiment software is needed.
    Software = 6,
    /// No input at all.
    NoInput = 7,
    /// Some input is missing or unreadable.
    InputUnavailable = 8,
    /// An archive is broken or unsafe.
    BadArchive = 9,
    /// A database release needs experiment software.
    DbRelease = 10,
    /// Hyper-parameter optimisation cannot run.
    Hpo = 13,
    /// An output is missing.
    OutputMissing = 16,
    /// The merge script is not there.
    NoScript = 17,
    /// The payload (or a merge) failed.
    Payload = 18,
    /// A good-run list cannot be handled.
    GoodRunList = 19,
    /// Nothing is there to run the container; ours, upstream has no such number.
    NoContainer = 30,
    /// A local file operation failed; ours.
    Local = 31,
}

/// A failure of the runner itself or of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) number: Number,
    pub(crate) text: String,
    /// The payload's own status, passed through; `None` for own failures.
    pub(crate) status: Option<i32>,
}

impl Failure {
    pub(crate) fn new(number: Number, text: impl Into<String>) -> Self {
        Self { number, text: text.into(), status: None }
    }

    /// A failed local file operation, with what was attempted.
    pub(crate) fn local(what: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::new(Number::Local, format!("{what}: {error}"))
    }

    /// The failure for a payload that ended with `status` (1..=254), as made by
    /// [`payload_status`].
    pub(crate) fn payload(status: i32) -> Self {
        let text = match status {
            129..=192 => format!("payload exited with status {status} (signal {})", status - 128),
            _ => format!("payload exited with status {status}"),
        };
        Self { number: Number::Payload, text, status: Some(status) }
    }

    /// What the process exits with: never 0, 251 or 255.
    pub(crate) fn exit_code(&self) -> i32 {
        self.status.unwrap_or(EXIT_BASE + self.number as i32)
    }
}

/// The status to pass on: the payload's own, `128 + n` for signal `n`, and 254
/// for 255, which pilots count as success.
pub(crate) fn payload_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(255), _) => 254,
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 254,
    }
}

/// Writes `payload_error_report.json` into the job directory, prints the one
/// `ERROR : ` line, and returns the exit status.
pub(crate) fn report(job_dir: &Path, offset: i64, failure: &Failure) -> i32 {
    let diag: String = failure.text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DIAG_CHARS).collect();
    let report = json!({
        "error_code": REPORT_BASE + offset + failure.number as i64,
        "error_diag": diag,
    });
    let path = job_dir.join("payload_error_report.json");
    if let Err(error) = std::fs::write(&path, report.to_string()) {
        eprintln!("warning: cannot write {}: {error}", path.display());
    }
    eprintln!("ERROR : {diag}");
    failure.exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn statuses_pass_through_but_never_look_like_success() {
        for (raw, expected) in [(0, 0), (3 << 8, 3), (254 << 8, 254), (255 << 8, 254), (9, 137), (15, 143)] {
            assert_eq!(payload_status(ExitStatus::from_raw(raw)), expected, "{raw}");
        }
    }

    #[test]
    fn own_failures_are_above_200() {
        assert_eq!(Failure::new(Number::NotFetched, "x").exit_code(), 203);
        assert_eq!(Failure::new(Number::Argument, "x").exit_code(), 201);
        assert_eq!(Failure::payload(3).exit_code(), 3);
        assert_eq!(Failure::payload(137).text, "payload exited with status 137 (signal 9)");
    }
}

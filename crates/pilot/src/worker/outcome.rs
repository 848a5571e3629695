//! How a job ended, as its final report.
//!
//! Owns the judgement of exit statuses and the keys of the report. Must not
//! know how the report is delivered.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::codes::JobFailure;
use super::payload::Usage;
use super::{Context, report};

/// Largest `jobReport.json` that travels with the report.
const MAX_METADATA_BYTES: u64 = 8 << 20;

/// How much of stderr is searched for a diagnosis.
const STDERR_SEARCHED_BYTES: u64 = 256 << 10;

/// Largest error report of a payload.
const MAX_ERROR_REPORT_BYTES: u64 = 64 << 10;

/// Longest `pilot_log` that official pilots send.
const MAX_PILOT_LOG_CHARS: usize = 1024;

/// Seconds that parts of a job took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    pub(crate) get_job: u64,
    pub(crate) stage_in: u64,
    pub(crate) payload: u64,
    pub(crate) stage_out: u64,
    pub(crate) set_up: u64,
}

/// What is known of a job when it has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) start: Timestamp,
    pub(crate) cores: i64,
    pub(crate) failure: Option<JobFailure>,
    /// `lost_worker` when the worker, not the job, is to blame.
    pub(crate) sub_status: Option<&'static str>,
    /// The payload's own exit status.
    pub(crate) exit_status: i32,
    /// Code and diagnosis of the payload's own error report.
    pub(crate) payload_error: Option<(i64, String)>,
    pub(crate) metadata: Option<String>,
    /// Entries of the output report: LFN to what was stored.
    pub(crate) files: Map<String, Value>,
    pub(crate) usage: Usage,
    pub(crate) timing: Timing,
}

impl Outcome {
    pub(crate) fn new(get_job_s: u64) -> Self {
        Self {
            start: Timestamp::now(),
            cores: 1,
            failure: None,
            sub_status: None,
            exit_status: 0,
            payload_error: None,
            metadata: None,
            files: Map::new(),
            usage: Usage::default(),
            timing: Timing { get_job: get_job_s, ..Timing::default() },
        }
    }

    /// Takes over what a step left: status, error report, job report.
    pub(crate) fn judge(&mut self, dir: &Path, status: i32, code: i64) -> Result<(), JobFailure> {
        self.exit_status = status;
        self.metadata = read_text(&dir.join("jobReport.json"), MAX_METADATA_BYTES);
        self.payload_error = payload_error(dir);
        if status == 0 {
            return Ok(());
        }
        let diag = match &self.payload_error {
            Some((_, diag)) => diag.clone(),
            None => error_line(dir).unwrap_or_else(|| format!("payload exited with status {status}")),
        };
        Err(JobFailure::new(code, format!("Failed to execute payload:{diag}")))
    }

    /// The body of the final update.
    pub(crate) fn body(&self, context: &Context, job_id: i64, attempt: i64) -> Value {
        let status = if self.failure.is_some() { "failed" } else { "finished" };
        let mut body = report::base(context, job_id, attempt, status);
        let (code, diag) = self.failure.as_ref().map_or((0, ""), |failure| (failure.code, failure.diag.as_str()));
        let (exe_code, exe_diag) = self.payload_error.as_ref().map_or((0, ""), |(code, diag)| (*code, diag.as_str()));
        let timing = &self.timing;
        let mut set = |key: &str, value: Value| {
            body.insert(key.to_owned(), value);
        };
        set("start_time", json!(text_time(self.start)));
        set("end_time", json!(text_time(Timestamp::now())));
        set("job_output_report", json!(Value::Object(self.files.clone()).to_string()));
        set("trans_exit_code", json!(self.exit_status));
        set("pilot_error_code", json!(code));
        set("pilot_error_diag", json!(report::short(diag)));
        set("exe_error_code", json!(exe_code));
        set("exe_error_diag", json!(report::short(exe_diag)));
        set("core_count", json!(self.cores));
        set("cpu_consumption_time", json!(self.usage.cpu_s));
        set("cpu_consumption_unit", json!("s"));
        set(
            "pilot_timing",
            json!(format!("{}|{}|{}|{}|0|{}", timing.get_job, timing.stage_in, timing.payload, timing.stage_out, timing.set_up)),
        );
        if self.usage.max_rss_kb > 0 {
            set("max_rss", json!(self.usage.max_rss_kb));
        }
        if let Some(metadata) = &self.metadata {
            set("meta_data", json!(metadata));
        }
        if let Some(sub_status) = self.sub_status {
            set("job_sub_status", json!(sub_status));
        }
        if !diag.is_empty() {
            set("pilot_log", json!(diag.chars().take(MAX_PILOT_LOG_CHARS).collect::<String>()));
        }
        Value::Object(body)
    }
}

/// UTC as the API wants it: `2026-01-31 23:59:59`.
pub(crate) fn text_time(time: Timestamp) -> String {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", civil.year(), civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second())
}

fn read_text(path: &Path, limit: u64) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > limit {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// `payload_error_report.json`: `{"error_code": int, "error_diag": text}`.
fn payload_error(dir: &Path) -> Option<(i64, String)> {
    let text = read_text(&dir.join("payload_error_report.json"), MAX_ERROR_REPORT_BYTES)?;
    let report: Value = serde_json::from_str(&text).ok()?;
    let code = report.get("error_code").and_then(Value::as_i64)?;
    let diag = report.get("error_diag").and_then(Value::as_str).unwrap_or_default();
    Some((code, diag.to_owned()))
}

/// The rest of the first stderr line with `ERROR :`, `Error:` or `error:`.
#[allow(clippy::disallowed_methods)] // bounded by `take`
fn error_line(dir: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(dir.join("payload.stderr")).ok()?.take(STDERR_SEARCHED_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find_map(|line| {
        ["ERROR :", "Error:", "error:"]
            .iter()
            .find_map(|start| line.split_once(start))
            .map(|(_, rest)| rest.trim().to_owned())
            .filter(|rest| !rest.is_empty())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::worker::codes::PAYLOAD;

    #[test]
    fn diagnoses() {
        let dir = tempfile::tempdir().unwrap();
        let mut outcome = Outcome::new(0);
        assert!(outcome.judge(dir.path(), 0, PAYLOAD).is_ok());
        let diag = |outcome: &mut Outcome| outcome.judge(dir.path(), 3, PAYLOAD).unwrap_err().diag;
        assert_eq!(diag(&mut outcome), "Failed to execute payload:payload exited with status 3");
        std::fs::write(dir.path().join("payload.stderr"), "warn\nx error: no disk\n").unwrap();
        assert_eq!(diag(&mut outcome), "Failed to execute payload:no disk");
        let report = r#"{"error_code": 5318, "error_diag": "bad"}"#;
        std::fs::write(dir.path().join("payload_error_report.json"), report).unwrap();
        assert_eq!(diag(&mut outcome), "Failed to execute payload:bad");
        assert_eq!(outcome.payload_error, Some((5318, "bad".to_owned())));
    }

    #[test]
    fn times() {
        let time = Timestamp::from_second(1_767_225_599).unwrap();
        assert_eq!(text_time(time), "2025-12-31 23:59:59");
    }
}

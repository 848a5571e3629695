//! Reads a final report (`spec/payload_runners.md` section 12.6). Pure.

use panda_store::query::job::file::JobFile;
use serde_json::{Map, Value};

/// A file that the pilot says it stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Name.
    pub lfn: String,
    /// GUID, if any.
    pub guid: Option<String>,
    /// Bytes.
    pub size: i64,
    /// `ad:` and eight hex digits, or `md5:` and 32.
    pub checksum: String,
    /// Where it lies.
    pub surl: Option<String>,
}

/// A final report.
#[derive(Debug, Clone, Default)]
pub struct Final {
    /// Whether the pilot says that the job ended well.
    pub finished: bool,
    /// `lost_worker` and the like.
    pub sub_state: Option<String>,
    /// Stored files.
    pub stored: Vec<Stored>,
    /// What was wrong with the report itself.
    pub problem: Option<String>,
    /// Payload metadata, JSON text.
    pub meta: Option<String>,
    /// Codes and diagnoses as sent.
    pub errors: Map<String, Value>,
    /// Everything measured.
    pub metrics: Map<String, Value>,
}

impl Final {
    /// A code among the errors; numbers may be texts.
    #[must_use]
    pub fn code(&self, key: &str) -> Option<i64> {
        match self.errors.get(key)? {
            Value::Number(n) => n.as_i64(),
            Value::String(s) => s.trim().parse().ok(),
            _ => None,
        }
    }
    /// A non-empty diagnosis among the errors.
    #[must_use]
    pub fn diag(&self, key: &str) -> Option<&str> {
        self.errors.get(key)?.as_str().map(str::trim).filter(|t| !t.is_empty() && *t != "NULL")
    }
    /// The sentence that people read first.
    #[must_use]
    pub fn first_diag(&self) -> Option<String> {
        let text = self.diag("exe_error_diag").or_else(|| self.diag("pilot_error_diag")).map(str::to_owned);
        text.or_else(|| {
            let code = self.code("pilot_error_code").filter(|c| *c != 0)?;
            Some(format!("pilot error {code}"))
        })
        .or_else(|| self.code("trans_exit_code").filter(|c| *c != 0).map(|code| format!("payload exited with status {code}")))
    }
}

/// Decodes the document written by `ops::pilot::update`.
#[must_use]
pub fn decode(doc: &str) -> Final {
    let Ok(Value::Object(doc)) = serde_json::from_str::<Value>(doc) else {
        return Final { problem: Some("the stored report is no JSON object".into()), ..Final::default() };
    };
    let text = |key: &str| doc.get(key).and_then(Value::as_str).map(str::to_owned);
    let object = |key: &str| doc.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut report = Final {
        finished: doc.get("state").and_then(Value::as_str) == Some("finished"),
        sub_state: text("sub_state"),
        meta: text("meta").filter(|m| !m.trim().is_empty()),
        errors: object("errors"),
        metrics: object("metrics"),
        ..Final::default()
    };
    match text("output").as_deref().map(str::trim) {
        None | Some("") => {
            if report.finished {
                report.problem = Some("the report lists no files".into());
            }
        }
        Some(output) => match serde_json::from_str::<Value>(output) {
            Ok(Value::Object(files)) => read_files(&files, &mut report),
            Ok(_) => report.problem = Some("the output report is no JSON object".into()),
            Err(e) => report.problem = Some(format!("the output report is no JSON: {e}")),
        },
    }
    report
}

fn read_files(files: &Map<String, Value>, report: &mut Final) {
    for (lfn, entry) in files {
        let Some(entry) = entry.as_object() else {
            report.problem = Some(format!("the entry of {lfn} is no object"));
            continue;
        };
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty() && *t != "NULL");
        let size = match entry.get("fsize") {
            Some(Value::Number(n)) => n.as_i64(),
            Some(Value::String(s)) => s.trim().parse().ok(),
            _ => None,
        };
        let checksum = text("adler32")
            .map(|a| format!("ad:{:0>8}", a.to_lowercase()))
            .or_else(|| text("md5sum").map(|m| format!("md5:{}", m.to_lowercase())));
        match (size, checksum) {
            (Some(size), Some(checksum)) => report.stored.push(Stored {
                lfn: lfn.clone(),
                guid: text("guid").map(str::to_owned),
                size,
                checksum,
                surl: text("surl").map(str::to_owned),
            }),
            (None, _) => report.problem = Some(format!("the entry of {lfn} has no size")),
            (_, None) => report.problem = Some(format!("the entry of {lfn} has no checksum")),
        }
    }
}

/// How the stored files answer the expected ones.
#[derive(Debug, Clone, Default)]
pub struct Matched {
    /// Expected files that were stored, with what the report says of them.
    pub stored: Vec<(JobFile, Stored)>,
    /// Optional files that were not made.
    pub absent: Vec<JobFile>,
    /// Further files of a pattern output: the pattern's row, the file.
    pub further: Vec<(JobFile, Stored)>,
    /// Pattern rows themselves, replaced by their files.
    pub patterns: Vec<JobFile>,
    /// Why the report does not answer.
    pub problem: Option<String>,
}

/// Matches a report with the files that the job was to make.
#[must_use]
pub fn match_files(expected: &[JobFile], report: &Final) -> Matched {
    let mut out = Matched { problem: report.problem.clone(), ..Matched::default() };
    let mut left: Vec<&Stored> = report.stored.iter().collect();
    for file in expected {
        if let Some(pattern) = file.lfn.strip_prefix("regex|") {
            match regex::Regex::new(pattern) {
                Ok(re) => {
                    let (hits, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|s| re.is_match(&s.lfn));
                    left = rest;
                    if hits.is_empty() && !file.optional {
                        out.problem.get_or_insert_with(|| format!("no output matches {pattern}"));
                    }
                    out.patterns.push(file.clone());
                    out.further.extend(hits.into_iter().map(|s| (file.clone(), s.clone())));
                }
                Err(e) => {
                    out.problem.get_or_insert_with(|| format!("the output pattern {pattern} is wrong: {e}"));
                }
            }
            continue;
        }
        if let Some(at) = left.iter().position(|s| s.lfn == file.lfn) {
            out.stored.push((file.clone(), left.remove(at).clone()));
        } else if file.optional {
            out.absent.push(file.clone());
        } else {
            out.problem.get_or_insert_with(|| format!("expected output {} is missing in the report", file.lfn));
        }
    }
    if let Some(extra) = left.first() {
        out.problem.get_or_insert_with(|| format!("the report names {}, which this job was not to make", extra.lfn));
    }
    out
}

//! Reads a final report (`spec/payload_runners.md` section 12.6). Pure.

use std::collections::{BTreeMap, BTreeSet};

use panda_core::job::error::Source;
use panda_store::query::job::file::JobFile;
use serde_json::{Map, Value};

/// Outputs of the payload's metadata that are read.
const MAX_MEASURED: usize = 10_000;

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

/// What the payload's metadata says of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Events in it.
    pub events: Option<i64>,
    /// Its GUID.
    pub guid: Option<String>,
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
    /// Entries without size or checksum: name, and what is missing. An input may be named so.
    pub incomplete: Vec<(String, &'static str)>,
    /// What was wrong with the report itself.
    pub problem: Option<String>,
    /// Events and GUID of outputs, from the payload's metadata.
    pub measured: BTreeMap<String, Measured>,
    /// Payload metadata, JSON text.
    pub meta: Option<String>,
    /// Codes and diagnoses as sent.
    pub errors: Map<String, Value>,
    /// Everything measured.
    pub metrics: Map<String, Value>,
    /// Power of a core of its machine, thousandths, as it was written with its end ([`super::usage`]); 0 = not known.
    pub power_milli: i64,
}

impl Final {
    /// A code among the errors; numbers may be texts, pilots send theirs with either sign.
    #[must_use]
    pub fn code(&self, source: Source) -> Option<i64> {
        let code = match self.errors.get(source.code_key())? {
            Value::Number(n) => n.as_i64(),
            Value::String(s) => s.trim().parse().ok(),
            _ => None,
        };
        if source == Source::Pilot { code.map(i64::abs) } else { code }
    }
    /// A non-empty diagnosis among the errors.
    #[must_use]
    pub fn diag(&self, source: Source) -> Option<&str> {
        self.errors.get(source.diag_key())?.as_str().map(str::trim).filter(|t| !t.is_empty() && *t != "NULL")
    }
    /// A whole number among what was measured; 0 when there is none.
    #[must_use]
    pub fn number(&self, key: &str) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a measured amount")]
        let of = |v: &Value| v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)).or_else(|| v.as_str()?.trim().parse().ok());
        self.metrics.get(key).and_then(of).unwrap_or(0).max(0)
    }
    /// The sentence that people read first.
    #[must_use]
    pub fn first_diag(&self) -> Option<String> {
        let text = [Source::Exe, Source::Pilot, Source::Ddm, Source::Sup].into_iter().find_map(|s| self.diag(s)).map(str::to_owned);
        let code = |source| self.code(source).filter(|c| *c != 0);
        text.or_else(|| code(Source::Pilot).map(|code| format!("pilot error {code}")))
            .or_else(|| code(Source::Trans).map(|code| format!("payload exited with status {code}")))
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
        power_milli: doc.get("usage").and_then(|u| u.get("power_milli")).and_then(Value::as_i64).unwrap_or(0),
        ..Final::default()
    };
    report.measured = report.meta.as_deref().map(read_meta).unwrap_or_default();
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

/// Events and GUIDs of outputs: `files.output[].subFiles[]` with `name`, `nentries`, `file_guid` (`spec/engine.md` section 12.1).
fn read_meta(meta: &str) -> BTreeMap<String, Measured> {
    let Ok(meta) = serde_json::from_str::<Value>(meta) else { return BTreeMap::new() };
    let outputs = meta["files"]["output"].as_array().map_or(&[][..], Vec::as_slice);
    let files = outputs.iter().filter_map(|o| o["subFiles"].as_array()).flatten();
    let one = |f: &Value| {
        let events = f["nentries"].as_i64().filter(|n| *n >= 0);
        Some((f["name"].as_str()?.to_owned(), Measured { events, guid: f["file_guid"].as_str().map(str::to_owned) }))
    };
    files.take(MAX_MEASURED).filter_map(one).collect()
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
            (None, _) => report.incomplete.push((lfn.clone(), "size")),
            (_, None) => report.incomplete.push((lfn.clone(), "checksum")),
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

/// Whether `lfn` is a numbered part of the output `whole`.
fn is_part(lfn: &str, whole: &str) -> bool {
    let n = lfn.strip_prefix(whole).and_then(|rest| rest.strip_prefix("._"));
    n.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Final {
    /// Takes the entries of these inputs out of the report: the ones that were not read (`spec/engine.md` section 12.1).
    pub fn take_inputs(&mut self, inputs: &BTreeSet<&str>) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        self.stored.retain(|s| !inputs.contains(s.lfn.as_str()) || !named.insert(s.lfn.clone()));
        self.incomplete.retain(|(lfn, _)| !inputs.contains(lfn.as_str()) || !named.insert(lfn.clone()));
        if let Some((lfn, what)) = self.incomplete.first() {
            self.problem.get_or_insert_with(|| format!("the entry of {lfn} has no {what}"));
        }
        named
    }
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
        // `<name>._<n>`: the payload split the output; each part counts.
        let parts = left.iter().filter(|s| is_part(&s.lfn, &file.lfn)).map(|s| (file.clone(), (*s).clone())).collect::<Vec<_>>();
        left.retain(|s| !is_part(&s.lfn, &file.lfn));
        if let Some(at) = left.iter().position(|s| s.lfn == file.lfn) {
            out.stored.push((file.clone(), left.remove(at).clone()));
            out.further.extend(parts);
        } else if !parts.is_empty() {
            out.patterns.push(file.clone());
            out.further.extend(parts);
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

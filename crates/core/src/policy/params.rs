//! From the items of a task to the parameter text of a job (`spec/payload_runners.md` section 10): template text, values of a job,
//! pre-merge names, words of a merge. The module `text` replaces the placeholders.
//!
//! It must not know JSON: items come in as [`Part`]s.

use super::names::{self, PRE_MERGE};
use super::text::{self, TextError, Values};

/// An item as far as the parameter text is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its value.
    pub value: &'a str,
    /// Never part of the text.
    pub hidden: bool,
    /// Whether a blank follows.
    pub padding: bool,
}

impl<'a> Part<'a> {
    /// A visible item, followed by a blank.
    #[must_use]
    pub const fn new(value: &'a str) -> Self {
        Self { value, hidden: false, padding: true }
    }

    /// A visible item without a blank behind it.
    #[must_use]
    pub const fn tight(value: &'a str) -> Self {
        Self { value, hidden: false, padding: false }
    }

    /// A hidden item.
    #[must_use]
    pub const fn hidden(value: &'a str) -> Self {
        Self { value, hidden: true, padding: true }
    }
}

/// The template text: values of the items that are not hidden, each followed by a blank unless it says otherwise; the final blank is cut.
/// (A blank that belongs to the last value stays, as in `--givenPFN `.)
#[must_use]
pub fn template(parts: &[Part<'_>]) -> String {
    let mut out = String::new();
    for part in parts.iter().filter(|part| !part.hidden) {
        out.push_str(part.value);
        if part.padding {
            out.push(' ');
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// The stream of an input item: the text of its first placeholder up to a slash, bracket or comma (`-i "${IN/T}"` is `IN`).
#[must_use]
pub fn stream_of(value: &str) -> Option<&str> {
    let inner = &value[value.find("${")? + 2..];
    Some(&inner[..inner.find(['/', '}', '[', ','])?])
}

/// The file name template of an output item: what stands behind its last `=`, without single quotes; a pattern stays whole.
#[must_use]
pub fn output_template(value: &str) -> &str {
    if value.starts_with(PATTERN) { value } else { value.rsplit('=').next().unwrap_or(value).trim_matches('\'') }
}

/// What a pattern output starts with.
pub const PATTERN: &str = "regex|";

/// An address of `pfnList` without its number of events (`root://h//f^100`), and that number.
#[must_use]
pub fn pfn(text: &str) -> (&str, Option<i64>) {
    match text.rsplit_once('^') {
        Some((address, events)) => match events.parse() {
            Ok(events) => (address, Some(events)),
            Err(_) => (text, None),
        },
        None => (text, None),
    }
}

/// Numbers and texts of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobWords<'a> {
    /// `jediTaskID`.
    pub task: i64,
    /// `PandaID`.
    pub job: i64,
    /// Serial number of the job's outputs.
    pub serial: i64,
    /// `${SURL}`.
    pub source_url: &'a str,
    /// `${LIB}`.
    pub library: Option<&'a str>,
    /// `${SEQNUMBER}`, offset included.
    pub sequence: Option<i64>,
    /// `${RNDMSEED}`, offset included.
    pub random_seed: Option<i64>,
    /// `${MAXEVENTS}`: -1 when not limited.
    pub max_events: Option<i64>,
    /// `${SKIPEVENTS}`.
    pub skip_events: i64,
    /// `${FIRSTEVENT}`.
    pub first_event: i64,
    /// `${ATTEMPTNR}`.
    pub attempt: i64,
    /// `${MIDDLENAME}`.
    pub middle_name: &'a str,
}

impl JobWords<'_> {
    /// Fills the words of `values`.
    pub fn put(&self, values: &mut Values) {
        let mut word = |key: &str, value: String| values.words.insert(key.to_owned(), value);
        word("SN", self.serial.to_string());
        word("SURL", self.source_url.to_owned());
        word("MAXEVENTS", self.max_events.unwrap_or(-1).to_string());
        word("SKIPEVENTS", self.skip_events.to_string());
        word("FIRSTEVENT", self.first_event.to_string());
        word("ATTEMPTNR", self.attempt.to_string());
        word("MIDDLENAME", self.middle_name.to_owned());
        for (key, number) in [("SEQNUMBER", self.sequence), ("RNDMSEED", self.random_seed)] {
            if let Some(number) = number {
                word(key, number.to_string());
            }
        }
        if let Some(library) = self.library {
            word("LIB", library.to_owned());
        }
    }
}

/// The finished parameter text of a job: placeholders, then the numbers of task and job.
///
/// # Errors
/// [`TextError`] names the placeholder that nothing replaces.
pub fn finished(template: &str, words: &JobWords<'_>, mut values: Values) -> Result<String, TextError> {
    words.put(&mut values);
    Ok(names::numbers(&text::fill(template, &values)?, words.task, words.job))
}

/// LFNs of a stream as they are handed over: each once, by name.
#[must_use]
pub fn ordered(mut lfns: Vec<String>) -> Vec<String> {
    lfns.sort();
    lfns.dedup();
    lfns
}

/// The text with every final output name replaced by its pre-merge twin. Where one name is the start of another, the longer one counts;
/// no name is replaced twice.
#[must_use]
pub fn pre_merge_text(text: &str, finals: &[&str]) -> String {
    let mut out = String::with_capacity(text.len() + finals.len() * PRE_MERGE.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = finals.iter().filter(|name| !name.is_empty() && rest.starts_with(**name)).max_by_key(|name| name.len());
        if let Some(name) = found {
            // It may carry the prefix already.
            if !out.ends_with(PRE_MERGE) {
                out.push_str(PRE_MERGE);
            }
            out.push_str(name);
            rest = &rest[name.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A pre-merge file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreMerged {
    /// Name.
    pub lfn: String,
    /// Bytes.
    pub bytes: i64,
}

/// One word of `${TRN_OUTPUT:OUTPUT}`: inputs by descending size, then by name, a colon, the final name; `None` without inputs (the
/// stream then disappears together with its output).
#[must_use]
pub fn merge_word(inputs: &[PreMerged], final_lfn: &str) -> Option<String> {
    let mut inputs: Vec<&PreMerged> = inputs.iter().collect();
    inputs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.lfn.cmp(&b.lfn)));
    let names: Vec<&str> = inputs.iter().map(|file| file.lfn.as_str()).collect();
    (!names.is_empty()).then(|| format!("{}:{final_lfn}", names.join(",")))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;

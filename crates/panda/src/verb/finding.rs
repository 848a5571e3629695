//! What a check found, and how findings are shown.
//!
//! Owns the shape that `panda doctor` and `panda cert check` share. Must not know what is checked.

use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::exit;
use crate::screen;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Warning,
    Bad,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// One finding.
#[derive(Debug)]
pub(super) struct Finding {
    pub what: &'static str,
    pub verdict: Verdict,
    /// The kind of fault, where there are kinds.
    pub fault: Option<&'static str>,
    pub text: String,
    pub hint: Option<String>,
}

impl Finding {
    pub fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, fault: None, text: text.into(), hint: None }
    }

    pub fn warning(what: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), verdict: Verdict::Warning, ..Self::ok(what, text) }
    }

    pub fn bad(what: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), verdict: Verdict::Bad, ..Self::ok(what, text) }
    }
}

/// Failed when anything is bad.
pub(super) fn code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|finding| finding.verdict == Verdict::Bad) { exit::FAILED } else { exit::OK }
}

/// Findings as a list for programs.
pub(super) fn list(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let mut one = json!({ "check": finding.what, "verdict": finding.verdict.as_str(), "text": finding.text, "hint": finding.hint });
        if let Some(fault) = finding.fault {
            one["fault"] = json!(fault);
        }
        one
    };
    findings.iter().map(one).collect()
}

/// Shows them as lines, or as a list for programs.
pub(super) fn show(context: &Context, findings: &[Finding]) {
    if context.json {
        return screen::json(&list(findings));
    }
    for finding in findings {
        screen::line(format!("{:<8} {:<10} {}", finding.verdict.as_str(), finding.what, finding.text));
        if let Some(hint) = &finding.hint {
            screen::line(format!("{:<19} hint: {hint}", ""));
        }
    }
}

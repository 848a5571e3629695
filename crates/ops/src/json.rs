//! Small helpers to write and read JSON text.

use serde_json::{Map, Value};

/// The members of an object as text without the braces, so that documents can be joined: `"a":1,"b":"x"`.
#[must_use]
pub fn members(map: &Map<String, Value>) -> String {
    let text = serde_json::to_string(map).unwrap_or_default();
    text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// Joins documents made by [`members`] into one object; empty ones are skipped.
#[must_use]
pub fn join(parts: &[&str]) -> String {
    let mut out = String::with_capacity(parts.iter().map(|p| p.len() + 1).sum::<usize>() + 2);
    out.push('{');
    for part in parts.iter().filter(|p| !p.is_empty()) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(part);
    }
    out.push('}');
    out
}

/// A JSON string literal.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into())
}

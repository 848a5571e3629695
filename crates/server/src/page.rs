//! The API as a page of the documentation, made from the method table.
//!
//! Must not say anything that the table does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::args::{Default, Kind, Param};
use crate::methods::{self, Intake, Method, Space, Unknown};

const HEAD: &str = "# Methods of the API

*Made from the method table (`crates/server/src/methods`) by `cargo run -p panda-server --example api > docs/reference/api.md`; a test compares it.*

Methods below `/api/v1` bear the names of the original; those below `/api/panda/v1` are ours. A body is JSON or a form, values of GET stand in the query. An answer is
`{\"success\": bool, \"message\": text, \"data\": …}` at status 200, also when the call is refused; what cannot be read or is not let in is plain text `ERROR : …` with another
status. `name: type` is needed, `name: type = value` is not; `~` converts values of other types, as from text. Who may is in [roles.md](../roles.md); [openapi.json](../../crates/server/openapi.json) says
the same for programs, and [compatibility.md](../compatibility.md) where a method differs from the original's.
";

/// `docs/reference/api.md`.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for (space, base) in [(Space::V1, "/api/v1"), (Space::Own, "/api/panda/v1")] {
        let mut modules: BTreeMap<&str, Vec<&Method>> = BTreeMap::new();
        for method in methods::all().filter(|m| m.space == space) {
            modules.entry(method.module).or_default().push(method);
        }
        for (module, rows) in modules {
            let path = if module.is_empty() { base.to_owned() } else { format!("{base}/{module}") };
            line(&mut out, format_args!("\n## `{path}`\n"));
            line(
                &mut out,
                format_args!("| method | verb | right | parameters | data | what it does |\n| --- | --- | --- | --- | --- | --- |"),
            );
            for m in rows {
                let (verb, right) = (m.verb.name(), m.right.name());
                line(&mut out, format_args!("| `{}` | {verb} | {right} | {} | {} | {} |", m.name, parameters(m), m.answer, m.about));
            }
        }
    }
    out
}

fn parameters(m: &Method) -> String {
    let mut all: Vec<String> = m.params.iter().map(|p| format!("`{}`", parameter(p))).collect();
    match m.intake {
        Intake::File(_) => all.push("a file in a form".to_owned()),
        Intake::Raw(_) => all.push("bytes".to_owned()),
        Intake::Values(_) => {}
    }
    if m.unknown == Unknown::Kept {
        all.push("any others".to_owned());
    }
    // A bar would end the cell.
    all.join(", ").replace('|', " or ")
}

fn parameter(p: &Param) -> String {
    let element = match p.kind {
        Kind::Ints => "List[int]",
        Kind::Texts => "List[str]",
        Kind::Dicts => "List[dict]",
        kind => kind.name(),
    };
    let default = match p.default {
        Default::Required => String::new(),
        Default::Null => " = null".to_owned(),
        Default::Int(n) => format!(" = {n}"),
        Default::Bool(b) => format!(" = {b}"),
        Default::Text(text) => format!(" = \"{text}\""),
        Default::Texts(items) => format!(" = {items:?}"),
    };
    format!("{}{}: {element}{default}", if p.lenient { "~" } else { "" }, p.name)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
#[test]
fn the_page_is_current() {
    assert!(
        page() == include_str!("../../../docs/reference/api.md"),
        "docs/reference/api.md is old; run `cargo run -p panda-server --example api > docs/reference/api.md`"
    );
}

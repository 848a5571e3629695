//! What goes to standard output and to the log.
//!
//! Owns the forms: lines, tables, JSON, log lines. A closed pipe (`panda tasks | head`) is no error. Must not know any verb.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::context::Context;
use crate::failure::Failure;

/// Writes a line to standard output.
pub fn line(text: impl std::fmt::Display) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes bytes to standard output as they are.
pub fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Writes a note for people to standard error, so that standard output stays the answer.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a JSON document.
pub fn json(value: &Value) {
    line(serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
}

/// Whether people look at standard error.
#[must_use]
pub fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes a table without frames; nothing for no rows but `empty`.
pub fn table(heading: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        note(empty);
        return;
    }
    line(render_table(heading, rows, std::io::stdout().is_terminal()));
}

/// A table as text. On a terminal it is fitted to the width; elsewhere lines are as long as they are, so that scripts can cut them.
pub fn render_table(heading: &[&str], rows: Vec<Vec<String>>, fit: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heading.iter().copied());
    table.set_content_arrangement(if fit { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Starts the log on standard error. `quiet` is the level when nobody asked for one, instead of the configured default.
///
/// # Errors
/// [`Failure`] for a filter that cannot be read.
pub fn start_log(context: &Context, quiet: &str) -> Result<(), Failure> {
    let log = &context.config.log;
    let asked = context.config.settings.origin("log.level") != crate::config::Origin::Default;
    let level = match context.verbose {
        0 if !asked && !quiet.is_empty() => quiet,
        0 => log.level.as_str(),
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::usage(format!("`log.level` is `{level}`, which is no filter: {error}")).hint("use `info`, or `panda_engine=debug,info`")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal());
    // A second start (in tests) keeps the first log.
    let _ = if log.json { builder.json().try_init() } else { builder.try_init() };
    Ok(())
}

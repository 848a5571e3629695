//! Fragments of statements: upserts, skipped duplicates, row locks.

use std::fmt::Write as _;

use crate::{Error, stmt::Dialect};

/// Expands the fragments of a statement.
pub(super) fn expand(name: &'static str, dialect: Dialect, source: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(source.len() + 80);
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let wrong = |problem: &str| Error::Decode(format!("statement {name}: {problem}"));
        let end = rest[at..].find('}').map(|n| at + n).ok_or_else(|| wrong("a fragment is not closed"))?;
        let inner = &rest[at + 1..end];
        out.push_str(&fragment(dialect, inner).ok_or_else(|| wrong(&format!("unknown fragment {{{inner}}}")))?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out.trim().to_owned())
}

fn fragment(dialect: Dialect, inner: &str) -> Option<String> {
    let mysql = matches!(dialect, Dialect::MariaDb | Dialect::MySql);
    if inner == "skip_locked" {
        return Some(if dialect == Dialect::Sqlite { String::new() } else { "FOR UPDATE SKIP LOCKED".to_owned() });
    }
    if let Some(keys) = inner.strip_prefix("skip_dup(").and_then(|r| r.strip_suffix(')')) {
        let first = keys.split(',').next()?.trim();
        return Some(if mysql { format!("ON DUPLICATE KEY UPDATE {first} = {first}") } else { format!("ON CONFLICT ({keys}) DO NOTHING") });
    }
    let (keys, items) = inner.strip_prefix("upsert(")?.split_once("):")?;
    let sets: Vec<String> = split_items(items).map(|item| assignment(mysql, item.trim())).collect();
    let sets = sets.join(", ");
    Some(if mysql { format!("ON DUPLICATE KEY UPDATE {sets}") } else { format!("ON CONFLICT ({keys}) DO UPDATE SET {sets}") })
}

/// Splits at commas outside parentheses.
fn split_items(items: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    items.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// `a` takes the new value; `a = table.a + new.b` is copied, `new.b` being the value that would have been inserted.
fn assignment(mysql: bool, item: &str) -> String {
    if !item.contains('=') {
        return if mysql { format!("{item} = VALUES({item})") } else { format!("{item} = excluded.{item}") };
    }
    let mut out = String::new();
    let mut rest = item;
    while let Some(at) = rest.find("new.") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 4..];
        let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(tail.len());
        let column = &tail[..end];
        let _ = if mysql { write!(out, "VALUES({column})") } else { write!(out, "excluded.{column}") };
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

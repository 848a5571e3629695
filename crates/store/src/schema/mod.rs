//! The schema as numbered steps: one DDL statement a step in a small vocabulary of types that each dialect spells its own way.
//!
//! Vocabulary: `ID` and `INT` (64-bit), `REAL`, `MICROS` (microseconds UTC), `NAME(n)` (short text, compared byte by byte), `TEXT`,
//! `DOC` (long text that is only read whole). Fragments: `{table}` (table options), `{table norowid}` (clustered by its key), `{table hot}` (updated in
//! place), `{only: COND}` (a partial index where the backend has them), `{where: postgres, mysql}` (a step of some backends only). Identifiers have at most 30 bytes and no column tells '' from NULL, so that Oracle fits later.
//! Until the first tag the steps are edited in place; afterwards only appended.

mod jobs;
pub(crate) mod own;
mod support;
mod tasks;

/// Version that this program writes and expects: the number of steps.
#[must_use]
pub fn version() -> usize {
    steps().count()
}

/// Every step in order.
pub fn steps() -> impl Iterator<Item = &'static str> {
    support::STEPS.iter().chain(tasks::STEPS).chain(jobs::STEPS).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that MySQL 9 keeps for itself and that a schema like this one might use, lower case (from its manual's list).
    const RESERVED: &[&str] = &[
        "cube",
        "cume_dist",
        "dense_rank",
        "div",
        "empty",
        "except",
        "first_value",
        "function",
        "generated",
        "groups",
        "grouping",
        "int",
        "intersect",
        "json_table",
        "key",
        "keys",
        "kill",
        "lag",
        "last_value",
        "lateral",
        "lead",
        "library",
        "limit",
        "lines",
        "linear",
        "load",
        "lock",
        "manual",
        "match",
        "mod",
        "nth_value",
        "ntile",
        "of",
        "option",
        "out",
        "over",
        "parallel",
        "partition",
        "percent_rank",
        "procedure",
        "purge",
        "qualify",
        "range",
        "rank",
        "read",
        "reads",
        "recursive",
        "release",
        "rename",
        "repeat",
        "replace",
        "require",
        "row",
        "row_number",
        "rows",
        "schema",
        "schemas",
        "separator",
        "show",
        "signal",
        "sql",
        "starting",
        "stored",
        "system",
        "tablesample",
        "trigger",
        "undo",
        "unlock",
        "usage",
        "use",
        "virtual",
        "while",
        "window",
        "write",
    ];

    /// A table or column of such a name opens on three databases and not on the fourth, which CI has not.
    #[test]
    fn no_name_is_a_reserved_word() {
        let mut tables = 0;
        for step in steps().filter_map(|s| s.strip_prefix("CREATE TABLE ")) {
            let (table, rest) = step.split_once(" (").unwrap_or((step, ""));
            tables += 1;
            let columns =
                rest.split(", ").filter_map(|c| c.split(' ').next()).filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            for name in std::iter::once(table).chain(columns) {
                assert!(!RESERVED.contains(&name), "{name} of {table} is a reserved word of MySQL");
            }
        }
        assert!(tables > 30, "{tables}");
    }
}

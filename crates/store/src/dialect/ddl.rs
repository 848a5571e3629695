//! Expands a schema step into the DDL of a dialect.

use crate::stmt::Dialect;

/// The DDL statements of one schema step. PostgreSQL may need several (storage of documents); it runs them in one transaction.
pub(crate) fn ddl(dialect: Dialect, step: &str) -> Vec<String> {
    let (text, kept) = fragments(dialect, step);
    let main = types(dialect, &text);
    let mut out = if kept { vec![main] } else { vec![] };
    if dialect == Dialect::Postgres
        && let Some(table) = step.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split_whitespace().next())
    {
        // Documents are stored out of line and uncompressed: a row stays small and the pilot's answer needs no decompression.
        for column in doc_columns(step) {
            out.push(format!("ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL"));
        }
    }
    out
}

/// Expands `{…}`; the flag is false when the whole step does not exist in this dialect.
fn fragments(dialect: Dialect, step: &str) -> (String, bool) {
    let mut out = String::with_capacity(step.len() + 80);
    let mut kept = true;
    let mut rest = step;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').map_or(rest.len(), |n| at + n);
        let inner = &rest[at + 1..end];
        match inner.split_once(':') {
            Some(("only", condition)) => {
                if matches!(dialect, Dialect::Sqlite | Dialect::Postgres) {
                    out.push_str("WHERE ");
                    out.push_str(condition.trim());
                }
            }
            Some(("where", dialects)) => kept = dialects.split(',').any(|d| d.trim() == name(dialect)),
            _ => out.push_str(table_options(dialect, inner)),
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    (out.trim_end().to_owned(), kept)
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
        Dialect::MariaDb | Dialect::MySql => "mysql",
    }
}

/// Options behind a table: `table`, `table norowid` (clustered by its key where the backend has a choice), `table hot` (rows that are
/// updated in place several times: pages keep room for the next version).
fn table_options(dialect: Dialect, fragment: &str) -> &'static str {
    match (dialect, fragment) {
        (Dialect::Sqlite, "table norowid") => "STRICT, WITHOUT ROWID",
        (Dialect::Sqlite, _) => "STRICT",
        (Dialect::Postgres, "table hot") => {
            "WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)"
        }
        (Dialect::Postgres, _) => "",
        // Binary and without padding: by the default collation 'a', 'A' and 'a ' are one key.
        (Dialect::MariaDb, _) => "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
        (Dialect::MySql, _) => "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin",
    }
}

/// Replaces the words of the type vocabulary; names are lower case, so an upper-case word is never one.
fn types(dialect: Dialect, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let start = i;
        while i < bytes.len() && (bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_') {
            i += 1;
        }
        if i == start {
            out.push(bytes[i] as char);
            i += 1;
            continue;
        }
        let word = &text[start..i];
        if word == "NAME" && bytes.get(i) == Some(&b'(') {
            let end = text[i..].find(')').map_or(bytes.len(), |n| i + n + 1);
            out.push_str(&short_text(dialect, &text[i..end]));
            i = end;
        } else {
            out.push_str(type_word(dialect, word).unwrap_or(word));
        }
    }
    out
}

fn short_text(dialect: Dialect, width: &str) -> String {
    match dialect {
        Dialect::Sqlite => "TEXT".to_owned(),
        Dialect::Postgres => format!("VARCHAR{width} COLLATE \"C\""),
        Dialect::MariaDb | Dialect::MySql => format!("VARCHAR{width}"),
    }
}

fn type_word(dialect: Dialect, word: &str) -> Option<&'static str> {
    Some(match (word, dialect) {
        ("ID" | "INT" | "MICROS", Dialect::Sqlite) => "INTEGER",
        ("ID" | "INT" | "MICROS", _) => "BIGINT",
        ("REAL", Dialect::Sqlite) => "REAL",
        ("REAL", Dialect::Postgres) => "DOUBLE PRECISION",
        ("REAL", _) => "DOUBLE",
        ("TEXT" | "DOC", Dialect::Sqlite) => "TEXT",
        ("TEXT" | "DOC", Dialect::Postgres) => "TEXT COLLATE \"C\"",
        ("TEXT" | "DOC", _) => "LONGTEXT",
        _ => return None,
    })
}

fn doc_columns(step: &str) -> Vec<&str> {
    let words: Vec<&str> = step.split([' ', ',', '(', ')']).filter(|w| !w.is_empty()).collect();
    words.windows(2).filter(|w| w[1] == "DOC").map(|w| w[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = "CREATE TABLE job_doc (job_id ID NOT NULL PRIMARY KEY, name NAME(20) NOT NULL, doc DOC) {table}";

    #[test]
    fn each_dialect_spells_types_its_own_way() {
        assert_eq!(
            ddl(Dialect::Sqlite, STEP),
            ["CREATE TABLE job_doc (job_id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, doc TEXT) STRICT"]
        );
        assert_eq!(
            ddl(Dialect::Postgres, STEP),
            [
                "CREATE TABLE job_doc (job_id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) COLLATE \"C\" NOT NULL, doc TEXT COLLATE \"C\")",
                "ALTER TABLE job_doc ALTER COLUMN doc SET STORAGE EXTERNAL"
            ]
        );
        assert!(ddl(Dialect::MariaDb, STEP)[0].ends_with(
            "name VARCHAR(20) NOT NULL, doc LONGTEXT) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin"
        ));
    }

    #[test]
    fn partial_indexes_only_where_the_backend_has_them() {
        let step = "CREATE INDEX i ON t (a) {only: a IS NOT NULL}";
        assert_eq!(ddl(Dialect::Sqlite, step), ["CREATE INDEX i ON t (a) WHERE a IS NOT NULL"]);
        assert_eq!(ddl(Dialect::MySql, step), ["CREATE INDEX i ON t (a)"]);
        let step = "CREATE INDEX i ON t (a) {where: postgres, sqlite}";
        assert_eq!(ddl(Dialect::Postgres, step), ["CREATE INDEX i ON t (a)"]);
        assert!(ddl(Dialect::MariaDb, step).is_empty());
    }
}

//! The catalogue test: every statement is prepared on every backend, hot ones must not scan, and the rules that hold for all texts.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    dialect::{Compiled, ddl},
    driver::inspect::{Inspector, Shape},
    query::{self, job::claim},
    schema,
    stmt::{Dialect, Kind, Stmt},
    testing::{Backend, TestDb},
};

/// Statements of all backends.
fn common() -> Vec<&'static Stmt> {
    let mut all = query::catalogue();
    all.extend(schema::own::ALL);
    all
}

/// Statements of one backend.
fn own(dialect: Dialect) -> &'static [&'static Stmt] {
    match dialect {
        Dialect::Sqlite => claim::sqlite::ALL,
        Dialect::Postgres => claim::postgres::ALL,
        Dialect::MariaDb | Dialect::MySql => claim::mysql::ALL,
    }
}

fn everything() -> Vec<&'static Stmt> {
    let mut all = common();
    for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MariaDb] {
        all.extend(own(dialect));
    }
    all
}

/// Shapes of the common statements on one backend; fails on whatever the backend refuses and on hot statements that scan.
async fn check(backend: Backend) -> BTreeMap<&'static str, Shape> {
    let db = TestDb::fresh(backend).await.unchecked();
    db.open().await.close().await;
    let mut inspector = Inspector::open(db.url()).await;
    let dialect = inspector.dialect();
    if matches!(dialect, Dialect::MariaDb | Dialect::MySql) {
        fill(&mut inspector).await;
    }
    let (mut shapes, mut wrong) = (BTreeMap::new(), vec![]);
    for stmt in common().iter().chain(own(dialect)) {
        let compiled = match Compiled::new(stmt, dialect) {
            Ok(compiled) => compiled,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        let (sql, placeholders) = compiled.sample();
        match inspector.prepare(&sql).await {
            Ok((n, columns)) => {
                if n != placeholders {
                    wrong.push(format!("{}: {n} binds, {placeholders} expected", stmt.name));
                }
                shapes.insert(stmt.name, (compiled.bind_names().len(), columns));
            }
            Err(e) => {
                wrong.push(format!("{}: {e}: {sql}", stmt.name));
                continue;
            }
        }
        if stmt.hot {
            match inspector.full_scans(&sql, &compiled.placeholders()).await {
                Ok(scans) if scans.is_empty() => {}
                Ok(scans) => wrong.push(format!("{} scans: {}: {sql}", stmt.name, scans.join("; "))),
                Err(e) => wrong.push(format!("{}: explain: {e}", stmt.name)),
            }
        }
    }
    drop(inspector);
    assert!(wrong.is_empty(), "{dialect:?}:\n{}", wrong.join("\n"));
    for stmt in own(dialect) {
        shapes.remove(stmt.name);
    }
    shapes
}

/// Puts two thousand rows of distinct values into every table: on an empty one these servers plan a scan whatever the text says.
async fn fill(inspector: &mut Inspector) {
    for (table, columns) in tables() {
        let values: Vec<String> = columns
            .iter()
            .map(
                |(_, ty)| {
                    if matches!(ty.as_str(), "ID" | "INT" | "MICROS" | "REAL") { "s.n".to_owned() } else { "CONCAT('v', s.n)".to_owned() }
                },
            )
            .collect();
        let names: Vec<&str> = columns.iter().map(|(n, _)| n.as_str()).collect();
        let rows = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT";
        inspector.run(&format!("INSERT INTO {table} ({}) {rows} {} FROM s", names.join(", "), values.join(", "))).await;
        inspector.run(&format!("ANALYZE TABLE {table}")).await;
    }
}

/// Tables of the schema with their columns and types, read from the steps.
fn tables() -> Vec<(String, Vec<(String, String)>)> {
    let mut out = vec![];
    for step in schema::steps() {
        let Some(rest) = step.strip_prefix("CREATE TABLE ") else { continue };
        let (name, body) = rest.split_once(" (").unwrap();
        let columns = body.split(", ").filter(|c| {
            !c.starts_with("PRIMARY KEY") && c.split(' ').nth(1).is_some_and(|t| t.chars().next().is_some_and(char::is_uppercase))
        });
        let columns = columns.map(|c| {
            let mut words = c.split([' ', '(', ')']);
            (words.next().unwrap().to_owned(), words.next().unwrap().to_owned())
        });
        out.push((name.to_owned(), columns.collect()));
    }
    out
}

/// Numbers of binds and columns agree, and so do names of columns that are not expressions.
fn same(found: &BTreeMap<&'static str, Shape>, expected: &BTreeMap<&'static str, Shape>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, (binds, columns)) in expected {
        let (found_binds, found_columns) = &found[name];
        assert_eq!((found_binds, found_columns.len()), (binds, columns.len()), "{name}");
        for (found, expected) in found_columns.iter().zip(columns) {
            assert!(found == expected || expected.contains(['(', '*', '-']), "{name}: {found} {expected}");
        }
    }
}

#[tokio::test]
async fn sqlite_prepares_every_statement() {
    check(Backend::Sqlite).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn db_postgres_prepares_every_statement_with_the_same_shape() {
    same(&check(Backend::Postgres).await, &check(Backend::Sqlite).await);
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn db_mariadb_prepares_every_statement_with_the_same_shape() {
    same(&check(Backend::Mysql).await, &check(Backend::Sqlite).await);
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn db_mysql_prepares_every_statement_with_the_same_shape() {
    if std::env::var_os("PANDA_TEST_REAL_MYSQL").is_some() {
        same(&check(Backend::RealMysql).await, &check(Backend::Sqlite).await);
    }
}

async fn migrated(backend: Backend) -> BTreeSet<String> {
    let db = TestDb::fresh(backend).await;
    db.open().await.close().await;
    Inspector::open(db.url()).await.schema().await
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
#[tokio::test]
async fn db_postgres_and_db_mariadb_have_the_schema_of_sqlite() {
    let expected = migrated(Backend::Sqlite).await;
    assert!(
        expected.contains("job.task_id int null") && expected.contains("job_ready on job 0 ready_lane,neg_priority,id"),
        "{expected:?}"
    );
    for backend in [Backend::Postgres, Backend::Mysql] {
        let found = migrated(backend).await;
        let differ: Vec<_> = found.symmetric_difference(&expected).collect();
        assert!(differ.is_empty(), "{backend:?}: {differ:#?}");
    }
}

#[test]
fn names_are_unique_and_binds_agree() {
    let mut names = BTreeSet::new();
    for stmt in common() {
        assert!(names.insert(stmt.name), "{} stands twice", stmt.name);
        let binds = |dialect| {
            let compiled = Compiled::new(stmt, dialect).unwrap();
            compiled.bind_names().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = binds(Dialect::Sqlite);
        for dialect in [Dialect::Postgres, Dialect::MariaDb, Dialect::MySql] {
            assert_eq!(binds(dialect), expected, "{}", stmt.name);
        }
    }
}

#[test]
fn every_read_has_a_limit() {
    for stmt in everything() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MariaDb] {
            let text = stmt.text(dialect);
            let one = !text.contains(" FROM ") || (text.contains("COUNT(") && !text.contains("GROUP BY"));
            assert!(stmt.kind != Kind::Read || one || text.contains(" LIMIT "), "{} has no limit", stmt.name);
            assert!(!text.contains("NULLS FIRST") && !text.contains("{now}"), "{}", stmt.name);
        }
    }
}

/// Whether `text` assigns `column` of `table`.
fn assigns(text: &str, table: &str, column: &str) -> bool {
    text.match_indices(&format!("UPDATE {table} SET ")).any(|(at, found)| {
        let rest = &text[at + found.len()..];
        let sets = &rest[..rest.find(" WHERE ").unwrap_or(rest.len())];
        sets.split(',').any(|set| set.trim().strip_prefix(column).is_some_and(|r| r.trim_start().starts_with('=')))
    })
}

#[test]
fn only_transitions_write_states() {
    let mut writers = BTreeSet::new();
    for stmt in everything() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MariaDb] {
            let text = stmt.text(dialect);
            for (table, column) in [("job", "state"), ("job", "ready_lane"), ("task", "state")] {
                if assigns(text, table, column) {
                    writers.insert(stmt.name);
                }
            }
        }
        if stmt.kind == Kind::Insert && ["job", "task"].contains(&stmt.table) {
            writers.insert(stmt.name);
        }
    }
    for name in &writers {
        let allowed = ["job.transition", "task.transition", "claim.take", "claim.wait"].iter().any(|p| name.starts_with(p));
        assert!(allowed, "{name} writes a state; only transitions may");
    }
    assert!(writers.contains("job.transition") && writers.contains("claim.take"), "{writers:?}");
    assert!(assigns(&claim::mysql::take_text(&[(1, None)], 1), "job", "state"));
}

/// Words reserved by SQLite, PostgreSQL, MariaDB, MySQL or Oracle that somebody could want as a name.
const RESERVED: &str = "access add all alter analyze and any array as asc audit before between binary both by call cascade case cast change character check cluster collate column comment \
    compress condition connect constraint continue convert create cross cube current cursor database databases date day decimal declare default delayed delete desc describe deterministic \
    distinct div do double drop dual each else elseif empty enclosed end escape escaped except exclusive exists exit explain false fetch file float for force foreign from full fulltext \
    function generated get grant group grouping groups having high_priority host_ hour identified if ignore immediate in increment index infile initial inner inout insert int integer \
    intersect interval into is isolation iterate join json_table key keys kill lag lateral lead leading leave left level like limit linear lines load localtime lock long longblob \
    loop maxextents mediumint member minus mode modify natural nchar new no noaudit nocompress not notnull nowait null number numeric of off offline offset old on online only open \
    optimize option optionally or order out outer outfile over overlaps partition pctfree percent_rank placing precision primary prior procedure public purge range rank raw read reads real \
    recursive references regexp release rename repeat replace require resignal resource restrict return returning revoke right rlike row row_number rowid rownum rows schema schemas select \
    sensitive separator session set share show signal similar size smallint some spatial specific sql ssl start starting successful symmetric synonym sysdate system table terminated then \
    tinyint to trailing transaction trigger true uid undo union unique unlock unsigned update usage use user using utc_date validate values varchar varchar2 varying verbose view virtual \
    when whenever where while window with write xor year_month zerofill";

#[test]
fn identifiers_fit_every_backend() {
    let reserved: BTreeSet<&str> = RESERVED.split_whitespace().collect();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (table, columns) in tables() {
        names.insert(table);
        names.extend(columns.into_iter().map(|(name, _)| name));
    }
    for step in schema::steps() {
        let words: Vec<&str> = step.split_whitespace().collect();
        if let Some(at) = words.iter().position(|w| *w == "INDEX") {
            names.insert(words[at + 1].to_owned());
        }
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MariaDb, Dialect::MySql] {
            for text in ddl(dialect, step) {
                assert!(!text.contains(['{', '}']), "{text}");
            }
        }
    }
    assert!(names.len() > 100, "{}", names.len());
    for name in names {
        assert!(name.len() <= 30, "{name} is longer than 30 bytes");
        assert!(!reserved.contains(name.as_str()), "{name} is a reserved word somewhere");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
    }
}

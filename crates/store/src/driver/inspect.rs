//! What a backend says about a statement and about the migrated schema; for the catalogue test only.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;

use super::{
    redact,
    url::{Url, parse},
};
use crate::stmt::Dialect;

/// A connection that is only asked.
pub(crate) enum Inspector {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
    Mysql(Box<mysql_async::Conn>, Dialect),
}

/// What preparing tells: number of binds and names of columns.
pub(crate) type Shape = (usize, Vec<String>);

impl Inspector {
    pub(crate) async fn open(url: &str) -> Self {
        let shown = redact(url);
        match parse(url).unwrap() {
            Url::Sqlite(path) => Self::Sqlite(rusqlite::Connection::open(path).unwrap()),
            Url::Postgres(target) => {
                let client = super::postgres::inspect(&shown, &target).await;
                client.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
                Self::Postgres(client)
            }
            Url::Mysql(target) => {
                let (conn, dialect) = super::mysql::inspect(&shown, &target).await;
                Self::Mysql(Box::new(conn), dialect)
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(_, dialect) => *dialect,
        }
    }

    pub(crate) async fn prepare(&mut self, sql: &str) -> Result<Shape, String> {
        match self {
            Self::Sqlite(conn) => {
                let prepared = conn.prepare(sql).map_err(|e| e.to_string())?;
                Ok((prepared.parameter_count(), prepared.column_names().into_iter().map(str::to_owned).collect()))
            }
            Self::Postgres(client) => {
                let prepared = client.prepare(sql).await.map_err(|e| e.as_db_error().map_or_else(|| e.to_string(), ToString::to_string))?;
                Ok((prepared.params().len(), prepared.columns().iter().map(|c| c.name().to_owned()).collect()))
            }
            Self::Mysql(conn, _) => {
                let prepared = conn.prep(sql).await.map_err(|e| e.to_string())?;
                let columns = prepared.columns().iter().map(|c| c.name_str().into_owned()).collect();
                let n = prepared.num_params() as usize;
                conn.close(prepared).await.map_err(|e| e.to_string())?;
                Ok((n, columns))
            }
        }
    }

    /// Full scans in the plan of `sql`, which has `binds` placeholders (in MySQL's order, with names).
    pub(crate) async fn full_scans(&mut self, sql: &str, binds: &[&str]) -> Result<Vec<String>, String> {
        match self {
            Self::Sqlite(conn) => {
                let mut prepared = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).map_err(|e| e.to_string())?;
                let mut rows = prepared.raw_query();
                let mut lines: Vec<String> = vec![];
                while let Some(row) = rows.next().map_err(|e| e.to_string())? {
                    lines.push(row.get(3).map_err(|e| e.to_string())?);
                }
                let derived: BTreeSet<String> = lines
                    .iter()
                    .filter_map(|l| l.strip_prefix("CO-ROUTINE ").or_else(|| l.strip_prefix("MATERIALIZE ")))
                    .map(str::to_owned)
                    .collect();
                Ok(lines
                    .into_iter()
                    .filter(|l| {
                        l.strip_prefix("SCAN ").is_some_and(|l| l != "CONSTANT ROW" && !derived.contains(l.split(' ').next().unwrap_or("")))
                    })
                    .collect())
            }
            Self::Postgres(client) => {
                client.batch_execute("DEALLOCATE ALL").await.map_err(|e| e.to_string())?;
                client.batch_execute(&format!("PREPARE one AS {sql}")).await.map_err(|e| e.to_string())?;
                let values = if binds.is_empty() { String::new() } else { format!("({})", vec!["NULL"; binds.len()].join(",")) };
                let lines = client.query(&format!("EXPLAIN EXECUTE one{values}"), &[]).await.map_err(|e| e.to_string())?;
                let lines: Vec<String> = lines.iter().map(|r| r.get(0)).collect();
                // Walking over a partial index is what it is made for.
                let partial = client
                    .query(
                        "SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indpred IS NOT NULL",
                        &[],
                    )
                    .await
                    .map_err(|e| e.to_string())?;
                let partial: BTreeSet<String> = partial.iter().map(|r| r.get(0)).collect();
                let mut found = vec![];
                for (i, line) in lines.iter().enumerate() {
                    let bounded = lines.get(i + 1).is_some_and(|next| next.contains("Index Cond") || next.contains("Recheck Cond"));
                    if line.split(' ').any(|word| partial.contains(word)) {
                        continue;
                    }
                    if line.contains("Seq Scan on") || (line.contains("Index") && line.contains("Scan using") && !bounded) {
                        found.push(line.trim().to_owned());
                    }
                }
                Ok(found)
            }
            Self::Mysql(conn, _) => {
                let values: Vec<mysql_async::Value> = binds
                    .iter()
                    .map(|name| if *name == "n" { mysql_async::Value::Int(7) } else { mysql_async::Value::Bytes(b"7".to_vec()) })
                    .collect();
                let params = if values.is_empty() { mysql_async::Params::Empty } else { mysql_async::Params::Positional(values) };
                let rows: Vec<mysql_async::Row> = conn.exec(format!("EXPLAIN {sql}"), params).await.map_err(|e| e.to_string())?;
                let mut found = vec![];
                for row in rows {
                    let text = |name: &str| row.get::<Option<String>, _>(name).flatten().unwrap_or_default();
                    let (kind, table) = (text("type"), text("table"));
                    if (kind == "ALL" || kind == "index")
                        && text("select_type") != "INSERT"
                        && !table.starts_with('<')
                        && !text("Extra").contains("Using index for group-by")
                    {
                        found.push(format!("{kind} {table}"));
                    }
                }
                Ok(found)
            }
        }
    }

    /// Every column and index of the schema, in one spelling.
    pub(crate) async fn schema(&mut self) -> BTreeSet<String> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT m.name || '.' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'int' WHEN 'REAL' THEN 'real' ELSE 'text' END || CASE WHEN c.\"notnull\" = 1 THEN '' ELSE ' null' END FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' \
                 UNION ALL SELECT i.name || ' on ' || m.name || ' ' || i.\"unique\" || ' ' || (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) FROM sqlite_master m, pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'c'"
            }
            Self::Postgres(_) => {
                "SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'int' WHEN 'double precision' THEN 'real' ELSE 'text' END || CASE is_nullable WHEN 'NO' THEN '' ELSE ' null' END FROM information_schema.columns WHERE table_schema = 'public' \
                 UNION ALL SELECT i.relname || ' on ' || t.relname || ' ' || CASE WHEN x.indisunique THEN '1' ELSE '0' END || ' ' || (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(x.indkey) WITH ORDINALITY AS k(att, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.att) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace WHERE s.nspname = 'public' AND NOT x.indisprimary"
            }
            Self::Mysql(..) => {
                "SELECT CONCAT(table_name, '.', column_name, ' ', CASE data_type WHEN 'bigint' THEN 'int' WHEN 'double' THEN 'real' ELSE 'text' END, CASE is_nullable WHEN 'NO' THEN '' ELSE ' null' END) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 UNION ALL SELECT CONCAT(MAX(index_name), ' on ', MAX(table_name), ' ', 1 - MAX(non_unique), ' ', GROUP_CONCAT(column_name ORDER BY seq_in_index)) FROM information_schema.statistics WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY' GROUP BY table_name, index_name"
            }
        };
        match self {
            Self::Sqlite(conn) => {
                let mut prepared = conn.prepare(sql).unwrap();
                let lines = prepared.query_map([], |r| r.get(0)).unwrap();
                lines.map(Result::unwrap).collect()
            }
            Self::Postgres(client) => client.query(sql, &[]).await.unwrap().iter().map(|r| r.get(0)).collect(),
            Self::Mysql(conn, _) => conn.query(sql).await.unwrap().into_iter().collect(),
        }
    }

    /// Runs a text as it is.
    pub(crate) async fn run(&mut self, sql: &str) {
        match self {
            Self::Sqlite(conn) => conn.execute_batch(sql).unwrap(),
            Self::Postgres(client) => client.batch_execute(sql).await.unwrap(),
            Self::Mysql(conn, _) => conn.query_drop(sql).await.unwrap(),
        }
    }
}

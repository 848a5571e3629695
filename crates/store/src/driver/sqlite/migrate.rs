//! Runs schema steps on a file.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Session, failure};
use crate::{
    error::{Error, OpenError},
    migrate::Target,
    schema::own,
    stmt::Dialect,
};

/// The file, held by the caller's lock.
pub(super) struct File<'a> {
    pub(super) url: &'a str,
    pub(super) session: &'a Session,
    /// Whether it must outlive a crash; a simulation's need not, and stays without any sync.
    pub(super) durable: bool,
}

impl File<'_> {
    fn wrong(&self, source: Error) -> OpenError {
        OpenError::Statement { url: self.url.to_owned(), source }
    }
    fn batch(&self, text: &str) -> Result<(), OpenError> {
        self.session.conn.execute_batch(text).map_err(|e| self.wrong(failure("schema step", &e)))
    }
}

impl Target for File<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
    fn url(&self) -> &str {
        self.url
    }
    async fn recorded(&mut self) -> Result<Vec<(i64, String)>, OpenError> {
        if !self.session.conn.table_exists(None, "migration").map_err(|e| self.wrong(failure("schema", &e)))? {
            return Ok(vec![]);
        }
        let rows = self.session.fetch(&own::STEPS, &vec![]).map_err(|e| self.wrong(e))?;
        rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect::<Result<_, _>>().map_err(|e| self.wrong(e))
    }
    async fn prepare(&mut self, ddl: &str) -> Result<(), OpenError> {
        self.batch(ddl)
    }
    async fn step(&mut self, number: i64, hash: &str, ddl: &[String]) -> Result<(), OpenError> {
        // Syncing each of some hundred steps would cost a second; a crash leaves a prefix, which is what a restart continues from.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        let (before, after) = if self.durable { ("PRAGMA synchronous = NORMAL;", "; PRAGMA synchronous = FULL") } else { ("", "") };
        self.batch(&format!("{before} BEGIN IMMEDIATE; {}", ddl.iter().map(|d| format!("{d};")).collect::<String>()))?;
        let done = self.session.execute(&own::RECORD, &vec![("step", number.into()), ("hash", hash.into()), ("now", now.into())]);
        let done = done.map_err(|e| self.wrong(e)).and_then(|_| self.batch(&format!("COMMIT{after}")));
        if done.is_err() {
            let _ = self.batch("ROLLBACK");
        }
        done
    }
}

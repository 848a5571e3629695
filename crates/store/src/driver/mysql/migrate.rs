//! Runs schema steps. DDL commits by itself on these servers, so a step is recorded after it has run, and the first step of a restart may
//! find its object there already.

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};

use super::connect::{options, refused, session, single};
use crate::{error::OpenError, migrate::Target, schema::own, stmt::Dialect};

/// How long another migrating process is waited for, seconds.
const PATIENCE_S: u32 = 60;

struct Database<'a> {
    url: &'a str,
    conn: Conn,
    dialect: Dialect,
    /// Whether the next step may have run before its record was written.
    may_exist: bool,
}

impl<'a> Database<'a> {
    async fn open(url: &'a str, options: OptsBuilder) -> Result<Self, OpenError> {
        let (conn, dialect) = single(url, options).await?;
        let mut this = Self { url, conn, dialect, may_exist: false };
        for text in session(dialect).iter().take(3) {
            this.run(text).await?;
        }
        // Ends with the connection. (SHA2, since MySQL 9.7 has no MD5; a lock name has at most 64 characters.)
        this.run(&format!("DO GET_LOCK(CONCAT('panda_migrate_', LEFT(SHA2(DATABASE(), 256), 40)), {PATIENCE_S})")).await?;
        Ok(this)
    }
    async fn run(&mut self, text: &str) -> Result<(), OpenError> {
        self.conn.query_drop(text).await.map_err(|e| refused(self.url, &e))
    }
}

/// Checks the schema and migrates; answers which server it is.
pub(super) async fn run(url: &str, options: OptsBuilder, migrate: bool) -> Result<Dialect, OpenError> {
    let mut database = Database::open(url, options).await?;
    let done = crate::migrate::run(&mut database, migrate).await;
    let dialect = database.dialect;
    let _ = database.conn.disconnect().await;
    done.map(|()| dialect)
}

/// The DDL that [`run`] would apply.
pub(in crate::driver) async fn plan(url: &str, target: &str) -> Result<Vec<String>, OpenError> {
    let mut database = Database::open(url, options(url, target)?).await?;
    let plan = crate::migrate::plan(&mut database).await;
    let _ = database.conn.disconnect().await;
    plan
}

impl Target for Database<'_> {
    fn dialect(&self) -> Dialect {
        self.dialect
    }
    fn url(&self) -> &str {
        self.url
    }
    async fn recorded(&mut self) -> Result<Vec<(i64, String)>, OpenError> {
        let wrong = |e| refused(self.url, &e);
        let there: Option<i64> = self
            .conn
            .query_first("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'migration'")
            .await
            .map_err(wrong)?;
        if there.is_none() {
            return Ok(vec![]);
        }
        self.may_exist = true;
        self.conn.query(own::STEPS.sql).await.map_err(wrong)
    }
    async fn prepare(&mut self, ddl: &str) -> Result<(), OpenError> {
        self.run(ddl).await
    }
    async fn step(&mut self, number: i64, hash: &str, ddl: &[String]) -> Result<(), OpenError> {
        let may_exist = std::mem::take(&mut self.may_exist);
        for text in ddl {
            match self.conn.query_drop(text).await {
                // Table, column or index exists.
                Err(mysql_async::Error::Server(e)) if may_exist && matches!(e.code, 1050 | 1060 | 1061) => {}
                other => other.map_err(|e| refused(self.url, &e))?,
            }
        }
        let record = "INSERT INTO migration (step, hash, applied_us) VALUES (?, ?, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED))";
        self.conn.exec_drop(record, (number, hash)).await.map_err(|e| refused(self.url, &e))
    }
}

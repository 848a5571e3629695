//! Runs schema steps, each in its own transaction, one process at a time.

use tokio_postgres::{Client, Config};

use super::connect::{refused, single};
use crate::{error::OpenError, migrate::Target, schema::own, stmt::Dialect};

/// Number of the advisory lock that migrating processes take: "panda" in letters of the alphabet.
const LOCK: i64 = 16_01_14_04_01;

struct Database<'a> {
    url: &'a str,
    user: String,
    client: Client,
}

impl<'a> Database<'a> {
    async fn open(url: &'a str, config: &Config) -> Result<Self, OpenError> {
        let client = single(url, config).await?;
        let this = Self { url, user: config.get_user().unwrap_or("…").to_owned(), client };
        // Ends with the connection.
        this.batch(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
        Ok(this)
    }
    async fn batch(&self, text: &str) -> Result<(), OpenError> {
        self.client.batch_execute(text).await.map_err(|e| refused(self.url, &self.user, &e))
    }
}

/// Checks the schema and migrates.
pub(super) async fn run(url: &str, config: &Config, migrate: bool) -> Result<(), OpenError> {
    let mut database = Database::open(url, config).await?;
    crate::migrate::run(&mut database, migrate).await
}

/// The DDL that [`run`] would apply.
pub(in crate::driver) async fn plan(url: &str, target: &str) -> Result<Vec<String>, OpenError> {
    let mut database = Database::open(url, &super::connect::config(url, target)?).await?;
    crate::migrate::plan(&mut database).await
}

impl Target for Database<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
    fn url(&self) -> &str {
        self.url
    }
    async fn recorded(&mut self) -> Result<Vec<(i64, String)>, OpenError> {
        let wrong = |e| refused(self.url, &self.user, &e);
        let there = self.client.query_one("SELECT to_regclass('migration') IS NOT NULL", &[]).await.map_err(wrong)?;
        if !there.try_get::<_, bool>(0).map_err(wrong)? {
            return Ok(vec![]);
        }
        let rows = self.client.query(own::STEPS.sql, &[]).await.map_err(wrong)?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>().map_err(wrong)
    }
    async fn prepare(&mut self, ddl: &str) -> Result<(), OpenError> {
        self.batch(ddl).await
    }
    async fn step(&mut self, number: i64, hash: &str, ddl: &[String]) -> Result<(), OpenError> {
        // A crash leaves a prefix, which is what a restart continues from: no need to wait for the disk at each step.
        let record = format!(
            "INSERT INTO migration (step, hash, applied_us) VALUES ({number}, '{hash}', CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))"
        );
        let done = self.batch(&format!("SET synchronous_commit = off; BEGIN; {}; {record}; COMMIT", ddl.join("; "))).await;
        if done.is_err() {
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
        done
    }
}

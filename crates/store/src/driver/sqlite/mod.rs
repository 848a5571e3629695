//! SQLite: one writer thread with group commit, a few reading threads, checkpoints off the writer's path. In a simulation: the caller's thread.

mod alone;
mod claim;
mod lock;
mod migrate;
mod reader;
mod session;
mod writer;

use std::{ops::Range, path::Path, sync::Arc};

use futures::future::BoxFuture;

use self::{
    alone::Alone,
    reader::{Readers, Threads},
    session::{Session, failure},
    writer::{Thread, Writer},
};
use super::{Beat, BeatAnswer, Claim, Claimed, Driver, commons::Commons};
use crate::{
    batch::{Batch, Binds, Expect, Op},
    dialect::Texts,
    error::{Error, OpenError},
    schema::own,
    stmt::{Dialect, Stmt},
    store::IdKind,
    value::{Row, Value},
    wake::Wake,
};

/// An open SQLite file.
pub(super) struct Sqlite {
    writer: Writer,
    readers: Readers,
    commons: Arc<Commons>,
    wake: Wake,
}

/// Opens the file at `path`, alone: a second process is refused.
pub(super) async fn open(url: &str, path: &Path, migrate: bool, wake: Wake) -> Result<Sqlite, OpenError> {
    let lock = lock::take(url, path)?;
    let texts = Arc::new(Texts::new(Dialect::Sqlite));
    let session = Session::writer(url, path, Arc::clone(&texts))?;
    let mut target = migrate::File { url, session: &session, durable: true };
    crate::migrate::run(&mut target, migrate).await?;
    let statement = |source| OpenError::Statement { url: url.to_owned(), source };
    let readers = Readers::Threads(Threads::start(path, &texts).map_err(statement)?);
    let writer = Writer::Thread(Thread::start(path, session, lock).map_err(statement)?);
    Ok(Sqlite { writer, readers, commons: Arc::default(), wake })
}

/// Opens a file at `path` for a simulation: the caller's thread does the work, and nothing is safe from a crash.
pub(super) async fn scratch(path: &Path, wake: Wake) -> Result<Sqlite, OpenError> {
    let url = format!("sqlite:{}", path.display());
    let lock = lock::take(&url, path)?;
    let session = Session::scratch(&url, path, Arc::new(Texts::new(Dialect::Sqlite)))?;
    crate::migrate::run(&mut migrate::File { url: &url, session: &session, durable: false }, true).await?;
    let alone = Arc::new(Alone::new(session, lock));
    Ok(Sqlite { writer: Writer::Caller(alone.clone()), readers: Readers::Caller(alone), commons: Arc::default(), wake })
}

/// The DDL that opening with migration would apply.
pub(super) async fn plan(url: &str, path: &Path) -> Result<Vec<String>, OpenError> {
    let _lock = lock::take(url, path)?;
    let session = Session::writer(url, path, Arc::new(Texts::new(Dialect::Sqlite)))?;
    crate::migrate::plan(&mut migrate::File { url, session: &session, durable: true }).await
}

/// Runs statements as they are.
#[cfg(any(test, feature = "testing"))]
pub(super) fn admin(url: &str, path: &Path, statements: &[String]) -> Result<(), OpenError> {
    let session = Session::writer(url, path, Arc::new(Texts::new(Dialect::Sqlite)))?;
    for text in statements {
        session.conn.execute_batch(text).map_err(|e| OpenError::Statement { url: url.to_owned(), source: failure("test", &e) })?;
    }
    Ok(())
}

/// Applies the statements of a batch; the caller undoes them when one fails.
fn apply(s: &Session, batch: &Batch) -> Result<(), Error> {
    for op in &batch.ops {
        match op {
            Op::Exec { stmt, binds, expect } => {
                let n = s.execute(stmt, binds)?;
                if let Expect::Rows(want) = expect
                    && n != *want
                {
                    return Err(Error::Conflict(stmt.name));
                }
            }
            Op::Insert { stmt, rows } => s.insert(stmt, rows)?,
        }
    }
    Ok(())
}

/// Reserves a range of ids.
fn id_block(s: &Session, kind: IdKind, n: i64) -> Result<Range<i64>, Error> {
    let name = || ("name", Value::from(kind.name()));
    s.execute(&own::IDS_ADD, &vec![name(), ("first", kind.first().into())])?;
    s.execute(&own::IDS_TAKE, &vec![name(), ("n", n.into())])?;
    let rows = s.fetch(&own::IDS_READ, &vec![name()])?;
    let end = rows.first().ok_or(Error::Conflict(own::IDS_READ.name))?.int(0)?;
    Ok(end - n..end)
}

impl Driver for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
    fn fetch(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(self.readers.run(move |s| s.fetch(stmt, &binds)))
    }
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            super::check(&batch)?;
            let wake = self.wake.clone();
            let batch = Arc::new(batch);
            let unit = Arc::clone(&batch);
            self.writer.run(move |s| apply(s, &unit)).await?;
            for topic in &batch.wakes {
                wake.notify(*topic);
            }
            Ok(())
        })
    }
    fn id_block(&self, kind: IdKind, n: i64) -> BoxFuture<'_, Result<Range<i64>, Error>> {
        Box::pin(self.writer.run(move |s| id_block(s, kind, n)))
    }
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<Claimed>, Error>> {
        Box::pin(claim::run(self, claim))
    }
    fn beat(&self, beat: Beat) -> BoxFuture<'_, Result<BeatAnswer, Error>> {
        Box::pin(self.writer.run(move |s| claim::beat(s, &beat)))
    }
    fn clock(&self) -> BoxFuture<'_, Result<i64, Error>> {
        Box::pin(async {
            let rows = self.readers.run(|s| s.fetch(&own::CLOCK, &vec![])).await?;
            rows.first().ok_or(Error::Closed)?.int(0)
        })
    }
    fn schema_found(&self) -> BoxFuture<'_, Result<usize, Error>> {
        Box::pin(async { Ok(self.readers.run(|s| s.fetch(&own::STEPS, &vec![])).await?.len()) })
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.readers.close();
            self.writer.close().await;
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{
        driver::READ_LIMIT,
        testing::{Backend, TestDb},
    };

    crate::statements! {
        write PUT = "test.put", "INSERT INTO wake (name, n) VALUES (:name, :k)";
        read COUNT = "test.count", "SELECT COUNT(*) FROM wake LIMIT 1";
        read ENDLESS = "test.endless", "WITH RECURSIVE s(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM s) SELECT COUNT(*) FROM s LIMIT 1";
        read WRITING = "test.writing", "INSERT INTO wake (name, n) VALUES ('x', 1) RETURNING n";
    }

    async fn database() -> (TestDb, Sqlite) {
        let db = TestDb::fresh(Backend::Sqlite).await;
        let path = db.url().strip_prefix("sqlite:").unwrap().to_owned();
        let driver = open(db.url(), Path::new(&path), true, Wake::default()).await.unwrap();
        (db, driver)
    }
    fn put(s: &Session, k: i64) -> Result<u64, Error> {
        s.execute(&PUT, &vec![("name", format!("row {k}").into()), ("k", k.into())])
    }

    #[tokio::test]
    async fn sqlite_a_panic_or_an_error_undoes_its_unit_only() {
        let (_db, driver) = database().await;
        // Sent together, so that they share a group; each unit first writes, then goes its way.
        let units = (0..30).map(|k| {
            driver.writer.run(move |s| {
                put(s, k)?;
                match k % 3 {
                    0 => panic!("unit {k}"),
                    1 => Err(Error::Conflict("test")),
                    _ => Ok(k),
                }
            })
        });
        for (k, answer) in futures::future::join_all(units).await.into_iter().enumerate() {
            match k % 3 {
                0 => assert!(answer.unwrap_err().to_string().contains("panicked")),
                1 => assert!(matches!(answer, Err(Error::Conflict("test")))),
                _ => assert_eq!(answer.unwrap(), i64::try_from(k).unwrap()),
            }
        }
        assert_eq!(driver.fetch(&COUNT, vec![]).await.unwrap()[0].int(0).unwrap(), 10);
    }

    #[tokio::test]
    async fn sqlite_a_lost_transaction_is_told_to_every_caller_of_the_group() {
        let (_db, driver) = database().await;
        let units = (0..9).map(|k| {
            driver.writer.run(move |s| {
                put(s, k)?;
                if k == 5 {
                    // As SQLite itself does on a full disk.
                    s.conn.execute_batch("ROLLBACK").unwrap();
                }
                Ok(k)
            })
        });
        let answers = futures::future::join_all(units).await;
        let stored = driver.fetch(&COUNT, vec![]).await.unwrap()[0].int(0).unwrap();
        let told = i64::try_from(answers.iter().filter(|a| a.is_ok()).count()).unwrap();
        assert!(answers[5].is_err());
        assert_eq!(told, stored, "{answers:?}");
        assert!(driver.writer.run(|s| put(s, 100)).await.is_ok());
    }

    #[tokio::test]
    async fn sqlite_readers_cannot_write_and_are_stopped() {
        let (_db, driver) = database().await;
        assert!(driver.fetch(&WRITING, vec![]).await.unwrap_err().to_string().contains("readonly"));
        let start = std::time::Instant::now();
        let e = driver.fetch(&ENDLESS, vec![]).await.unwrap_err();
        assert!(e.to_string().contains("was stopped"), "{e}");
        assert!(start.elapsed() < READ_LIMIT * 2);
    }
}

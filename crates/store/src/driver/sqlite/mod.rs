//! SQLite: one writer thread with group commit, a few reading threads, checkpoints off the writer's path.

mod claim;
mod lock;
mod migrate;
mod reader;
mod session;
mod writer;

use std::{ops::Range, path::Path, sync::Arc};

use futures::future::BoxFuture;

use self::{
    reader::Readers,
    session::{Session, failure},
    writer::Writer,
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
    let mut target = migrate::File { url, session: &session };
    crate::migrate::run(&mut target, migrate).await?;
    let statement = |source| OpenError::Statement { url: url.to_owned(), source };
    let readers = Readers::start(path, &texts).map_err(statement)?;
    let writer = Writer::start(path, session, lock).map_err(statement)?;
    Ok(Sqlite { writer, readers, commons: Arc::default(), wake })
}

/// The DDL that opening with migration would apply.
pub(super) async fn plan(url: &str, path: &Path) -> Result<Vec<String>, OpenError> {
    let _lock = lock::take(url, path)?;
    let session = Session::writer(url, path, Arc::new(Texts::new(Dialect::Sqlite)))?;
    crate::migrate::plan(&mut migrate::File { url, session: &session }).await
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

/// Applies the statements of a batch; the caller holds a savepoint.
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

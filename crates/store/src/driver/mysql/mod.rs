//! MariaDB and MySQL: a pool of connections, batches in one transaction, claims and heartbeats of many callers in two round trips each.

mod claim;
mod connect;
mod migrate;
mod value;
mod wakes;

use std::{ops::Range, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use mysql_async::{Conn, Params, Pool, prelude::Queryable};

#[cfg(any(test, feature = "testing"))]
pub(super) use self::connect::admin;
#[cfg(test)]
pub(super) use self::connect::inspect;
pub(super) use self::migrate::plan;
use self::{connect::failure, wakes::Watcher};
use super::{
    Beat, BeatAnswer, Claim, Claimed, Driver, READ_LIMIT,
    beats::{self, Pending},
    commons::Commons,
    lanes::{self, Lanes},
    retry::retry,
};
use crate::{
    batch::{Batch, Binds, Expect, Op},
    dialect::{Bound, Texts},
    error::{Error, OpenError},
    schema::own,
    stmt::{Dialect, Stmt},
    store::IdKind,
    value::{Row, Value},
    wake::Wake,
};

/// Most rows of one INSERT; rows are cut into powers of two so that a statement has few texts.
const INSERT_ROWS: usize = 128;

/// How long [`Driver::close`] waits for connections that are in use; what is left closes with its last use.
const CLOSING: Duration = Duration::from_secs(10);

/// What tasks share.
struct Inner {
    pool: Pool,
    dialect: Dialect,
    texts: Texts,
    commons: Commons,
}

/// An open MariaDB or MySQL database.
pub(super) struct Mysql {
    inner: Arc<Inner>,
    lanes: Arc<Lanes>,
    beats: Arc<Pending>,
    wake: Wake,
    watcher: Watcher,
}

/// Opens the database at `target`; `url` is what is shown.
pub(super) async fn open(url: &str, target: &str, migrate: bool, wake: Wake) -> Result<Mysql, OpenError> {
    let options = connect::options(url, target)?;
    let dialect = migrate::run(url, options.clone(), migrate).await?;
    let inner = Arc::new(Inner { pool: connect::pool(options, dialect), dialect, texts: Texts::new(dialect), commons: Commons::default() });
    let watcher = Watcher::start(Arc::clone(&inner), wake.clone());
    Ok(Mysql { inner, lanes: Arc::default(), beats: Arc::default(), wake, watcher })
}

fn params(values: &[Bound<'_>]) -> Params {
    if values.is_empty() { Params::Empty } else { Params::Positional(values.iter().map(value::bound).collect()) }
}

impl Inner {
    async fn connection(&self) -> Result<Conn, Error> {
        let connection = tokio::time::timeout(READ_LIMIT, self.pool.get_conn()).await;
        let late = |_| Error::backend("connect", format!("no connection was free for {} s", READ_LIMIT.as_secs()));
        connection.map_err(late)?.map_err(|e| failure("connect", &e))
    }

    async fn fetch_on(&self, conn: &mut Conn, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        let c = self.texts.get(stmt)?;
        let (sql, values) = c.bind(binds)?;
        let rows: Vec<mysql_async::Row> = conn.exec(&*sql, params(&values)).await.map_err(|e| failure(c.name, &e))?;
        rows.iter().map(|row| value::row(c.name, row)).collect()
    }

    /// Runs one SELECT by itself.
    async fn fetch(&self, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        retry(|| async {
            let mut conn = self.connection().await?;
            self.fetch_on(&mut conn, stmt, binds).await
        })
        .await
    }

    /// Runs one write by itself.
    async fn alone(&self, op: &Op) -> Result<u64, Error> {
        let mut conn = self.connection().await?;
        self.execute(&mut conn, op).await
    }

    /// Runs one statement of a batch; answers the number of rows.
    async fn execute(&self, conn: &mut Conn, op: &Op) -> Result<u64, Error> {
        let c = self.texts.get(op.stmt())?;
        match op {
            Op::Exec { binds, .. } => {
                let (sql, values) = c.bind(binds)?;
                conn.exec_drop(&*sql, params(&values)).await.map_err(|e| failure(c.name, &e))?;
                let n = conn.affected_rows();
                // A row that an upsert has updated counts twice.
                Ok(if c.upsert { n.min(1) } else { n })
            }
            Op::Insert { stmt, rows } => {
                let (head, tail) = insert_halves(c.text());
                let mut rest = &rows[..];
                while !rest.is_empty() {
                    let n = INSERT_ROWS.min(1 << rest.len().ilog2());
                    let (part, more) = rest.split_at(n);
                    let marks = format!("({})", vec!["?"; stmt.columns.len()].join(","));
                    let sql = format!("{head}{}{tail}", vec![marks; n].join(","));
                    let values: Vec<Bound<'_>> = part.iter().flatten().map(Bound::from).collect();
                    conn.exec_drop(sql, params(&values)).await.map_err(|e| failure(c.name, &e))?;
                    rest = more;
                }
                Ok(rows.len() as u64)
            }
        }
    }

    async fn apply_once(&self, batch: &Batch) -> Result<(), Error> {
        let mut conn = self.connection().await?;
        if let [op] = &batch.ops[..]
            && !matches!(op, Op::Exec { expect: Expect::Rows(_), .. })
            && !matches!(op, Op::Insert { rows, .. } if rows.len() > 1)
        {
            // When the connection breaks nobody knows whether it took effect: not to be tried again.
            return self.execute(&mut conn, op).await.map(|_| ()).map_err(|e| match e {
                Error::Backend { statement, message, .. } if !connect::refused_by_server(&message) => Error::backend(statement, message),
                other => other,
            });
        }
        conn.query_drop("START TRANSACTION").await.map_err(|e| failure("START TRANSACTION", &e))?;
        let applied = self.in_transaction(&mut conn, batch).await;
        finish(conn, applied).await
    }

    async fn in_transaction(&self, conn: &mut Conn, batch: &Batch) -> Result<(), Error> {
        for op in &batch.ops {
            let n = self.execute(conn, op).await?;
            if let Op::Exec { stmt, expect: Expect::Rows(want), .. } = op
                && n != *want
            {
                return Err(Error::Conflict(stmt.name));
            }
        }
        Ok(())
    }

    async fn id_block_once(&self, kind: IdKind, n: i64) -> Result<Range<i64>, Error> {
        let name = || ("name", Value::from(kind.name()));
        let exec = |stmt, binds| Op::Exec { stmt, binds, expect: Expect::Any };
        let mut conn = self.connection().await?;
        conn.query_drop("START TRANSACTION").await.map_err(|e| failure("START TRANSACTION", &e))?;
        let taken = async {
            self.execute(&mut conn, &exec(&own::IDS_ADD, vec![name(), ("first", kind.first().into())])).await?;
            self.execute(&mut conn, &exec(&own::IDS_TAKE, vec![name(), ("n", n.into())])).await?;
            let rows = self.fetch_on(&mut conn, &own::IDS_READ, &vec![name()]).await?;
            rows.first().ok_or(Error::Closed)?.int(0)
        }
        .await;
        finish(conn, taken).await.map(|end| end - n..end)
    }
}

/// Ends the transaction: commits what succeeded.
async fn finish<T>(mut conn: Conn, done: Result<T, Error>) -> Result<T, Error> {
    if done.is_err() {
        if conn.query_drop("ROLLBACK").await.is_err() {
            // A connection in an unknown state does not go back to the pool.
            let _ = conn.disconnect().await;
        }
        return done;
    }
    match conn.query_drop("COMMIT").await {
        Ok(()) => done,
        // When the connection breaks here nobody knows whether it took effect: not to be tried again.
        Err(e) if !matches!(e, mysql_async::Error::Server(_)) => Err(Error::backend("COMMIT", e)),
        Err(e) => Err(failure("COMMIT", &e)),
    }
}

/// The text of an insert before and behind the values.
fn insert_halves(text: &str) -> (&str, &str) {
    let start = text.find(" VALUES (").map_or(text.len(), |at| at + " VALUES ".len());
    let end = text[start..].find(')').map_or(text.len(), |at| start + at + 1);
    (&text[..start], &text[end..])
}

impl Driver for Mysql {
    fn dialect(&self) -> Dialect {
        self.inner.dialect
    }
    fn fetch(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move { self.inner.fetch(stmt, &binds).await })
    }
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            super::check(&batch)?;
            let (inner, batch) = (Arc::clone(&self.inner), Arc::new(batch));
            let unit = Arc::clone(&batch);
            // Its own task: a caller that goes away must not leave a connection inside a transaction.
            tokio::spawn(async move { retry(|| inner.apply_once(&unit)).await }).await.map_err(|_| Error::Closed)??;
            self.lanes.note(&batch);
            for topic in &batch.wakes {
                self.wake.notify(*topic);
            }
            if !batch.wakes.is_empty() {
                self.watcher.send();
            }
            Ok(())
        })
    }
    fn id_block(&self, kind: IdKind, n: i64) -> BoxFuture<'_, Result<Range<i64>, Error>> {
        Box::pin(async move {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move { retry(|| inner.id_block_once(kind, n)).await }).await.map_err(|_| Error::Closed)?
        })
    }
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<Claimed>, Error>> {
        Box::pin(lanes::claim(&self.inner, &self.lanes, claim))
    }
    fn beat(&self, beat: Beat) -> BoxFuture<'_, Result<BeatAnswer, Error>> {
        Box::pin(beats::beat(&self.inner, &self.beats, beat))
    }
    fn clock(&self) -> BoxFuture<'_, Result<i64, Error>> {
        Box::pin(async { self.inner.fetch(&own::CLOCK, &vec![]).await?.first().ok_or(Error::Closed)?.int(0) })
    }
    fn schema_found(&self) -> BoxFuture<'_, Result<usize, Error>> {
        Box::pin(async { Ok(self.inner.fetch(&own::STEPS, &vec![]).await?.len()) })
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.watcher.stop().await;
            if tokio::time::timeout(CLOSING, self.inner.pool.clone().disconnect()).await.is_err() {
                tracing::warn!("connections to the database are still in use after {} s; they are left", CLOSING.as_secs());
            }
        })
    }
}

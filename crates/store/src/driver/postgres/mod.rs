//! PostgreSQL: a pool of connections, batches in one pipelined transaction, claims and heartbeats of many callers in one statement each.

mod claim;
mod connect;
mod group;
mod migrate;
mod notify;
mod value;

use std::{ops::Range, pin::Pin, sync::Arc, task::Poll};

use deadpool_postgres::{Object, Pool};
use futures::future::{BoxFuture, poll_fn};
use tokio_postgres::{Statement, types::ToSql};

#[cfg(any(test, feature = "testing"))]
pub(super) use self::connect::admin;
#[cfg(test)]
pub(super) use self::connect::inspect;
pub(super) use self::migrate::plan;
use self::{
    group::{Group, Unit},
    notify::Notifier,
    value::columns,
};
use super::{
    Beat, BeatAnswer, Claim, Claimed, Driver, READ_LIMIT,
    beats::{self, Pending},
    commons::Commons,
    lanes::{self, Lanes},
    retry::retry,
};
use crate::{
    batch::{Batch, Binds, Expect},
    dialect::{Bound, Texts},
    error::{Error, OpenError},
    query::job::claim::postgres as texts,
    schema::own,
    stmt::{Dialect, Stmt},
    store::IdKind,
    value::{Row, Value},
    wake::Wake,
};

/// Statements sent before the answer of the first is awaited; bounds what lies in buffers.
const PIPELINE: usize = 64;

/// What tasks share.
struct Inner {
    pool: Pool,
    texts: Texts,
    commons: Commons,
}

/// An open PostgreSQL database.
pub(super) struct Postgres {
    inner: Arc<Inner>,
    lanes: Arc<Lanes>,
    beats: Arc<Pending>,
    group: Group,
    wake: Wake,
    notifier: Notifier,
}

/// Opens the database at `target`; `url` is what is shown.
pub(super) async fn open(url: &str, target: &str, migrate: bool, wake: Wake) -> Result<Postgres, OpenError> {
    let config = connect::config(url, target)?;
    migrate::run(url, &config, migrate).await?;
    let pool = connect::pool(url, &config)?;
    let notifier = Notifier::start(config, wake.clone());
    let inner = Arc::new(Inner { pool, texts: Texts::new(Dialect::Postgres), commons: Commons::default() });
    Ok(Postgres { inner, lanes: Arc::default(), beats: Arc::default(), group: Group::default(), wake, notifier })
}

/// Turns a failure into ours: unique keys are duplicates, deadlocks and lost connections may be tried again.
fn failure(statement: &'static str, e: &tokio_postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else {
        return Error::Backend { statement, message: connect::chain(e), retryable: e.is_closed() };
    };
    match db.code().code() {
        "23505" => Error::Duplicate(statement),
        "57014" => Error::backend(statement, format!("it took more than {} s and was stopped", READ_LIMIT.as_secs())),
        code => Error::Backend {
            statement,
            message: format!("{} ({code})", db.message()),
            // Serialisation failure, deadlock, lock not available, server shutting down.
            retryable: matches!(code, "40001" | "40P01" | "55P03" | "57P01"),
        },
    }
}

impl Inner {
    async fn connection(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(|e| match e {
            deadpool_postgres::PoolError::Closed => Error::Closed,
            deadpool_postgres::PoolError::Backend(e) => failure("connect", &e),
            other => Error::backend("connect", other),
        })
    }

    async fn fetch_once(&self, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        let c = self.texts.get(stmt)?;
        let (sql, values) = c.bind(binds)?;
        let client = self.connection().await?;
        let wrong = |e| failure(c.name, &e);
        let prepared = client.prepare_cached(&sql).await.map_err(wrong)?;
        let rows = client.query(&prepared, &refs(&values)).await.map_err(wrong)?;
        rows.iter()
            .map(|row| (0..row.len()).map(|i| row.try_get::<_, Value>(i).map_err(wrong)).collect::<Result<_, _>>().map(Row))
            .collect()
    }

    /// Runs statements in one transaction and reads their rows; BEGIN, all of them and COMMIT are sent at once.
    async fn fetch_together(&self, units: &[(&'static Stmt, Binds)]) -> Result<Vec<Vec<Row>>, Error> {
        let client = self.connection().await?;
        let mut ready = Vec::with_capacity(units.len());
        for (stmt, binds) in units {
            let c = self.texts.get(stmt)?;
            let (sql, values) = c.bind(binds)?;
            let prepared = client.prepare_cached(&sql).await.map_err(|e| failure(c.name, &e))?;
            ready.push((c.name, prepared, values));
        }
        let mut sent: Vec<BoxFuture<'_, Result<Vec<Row>, Error>>> = Vec::with_capacity(ready.len() + 2);
        let control = |word: &'static str| {
            let client = &client;
            async move { client.batch_execute(word).await.map(|()| vec![]).map_err(|e| failure(word, &e)) }
        };
        sent.push(Box::pin(control("BEGIN")));
        for (name, prepared, values) in &ready {
            let client = &client;
            sent.push(Box::pin(async move { rows(name, &client.query(prepared, &refs(values)).await.map_err(|e| failure(name, &e))?) }));
        }
        // After a failed statement this rolls back and says so by no error; the statement's own error counts.
        sent.push(Box::pin(control("COMMIT")));
        let mut answers = in_order(sent).await;
        answers.pop().unwrap_or(Err(Error::Closed))?;
        answers.into_iter().skip(1).collect()
    }

    /// Runs one statement by itself and reads its rows.
    async fn fetch(&self, stmt: &'static Stmt, binds: &Binds) -> Result<Vec<Row>, Error> {
        retry(|| self.fetch_once(stmt, binds)).await
    }

    /// Runs one statement of a batch; answers the number of rows. Of a statement outside a transaction (`alone`) nobody knows whether it took
    /// effect when the connection breaks: it is not to be tried again.
    async fn execute(&self, client: &Object, prepared: &Statement, unit: &Unit<'_>, alone: bool) -> Result<u64, Error> {
        let name = unit.stmt().name;
        let c = self.texts.get(unit.stmt())?;
        let done = match unit {
            Unit::Exec { binds, .. } => {
                let (_, values) = c.bind(binds)?;
                client.execute(prepared, &refs(&values)).await
            }
            Unit::Insert { stmt, rows } => {
                let columns = columns(stmt, rows)?;
                let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|c| c as &(dyn ToSql + Sync)).collect();
                client.execute(prepared, &values).await
            }
        };
        done.map_err(|e| if alone && e.as_db_error().is_none() { Error::backend(name, connect::chain(&e)) } else { failure(name, &e) })
    }

    async fn apply_once(&self, units: &[Unit<'_>], relaxed: bool) -> Result<(), Error> {
        let client = self.connection().await?;
        let mut prepared = Vec::with_capacity(units.len());
        for unit in units {
            let c = self.texts.get(unit.stmt())?;
            // The number of values does not change the text on this backend.
            prepared.push(client.prepare_cached(c.text()).await.map_err(|e| failure(c.name, &e))?);
        }
        if let ([unit], [prepared]) = (units, &prepared[..])
            && !matches!(unit, Unit::Exec { expect: Expect::Rows(_), .. })
        {
            return self.execute(&client, prepared, unit, true).await.map(|_| ());
        }
        let applied = self.in_transaction(&client, units, relaxed, &prepared).await;
        if applied.is_ok() {
            // When the connection breaks here nobody knows whether it took effect: not to be tried again.
            return client.batch_execute("COMMIT").await.map_err(|e| match failure("COMMIT", &e) {
                Error::Backend { message, .. } if e.as_db_error().is_none() => Error::backend("COMMIT", message),
                other => other,
            });
        }
        if client.batch_execute("ROLLBACK").await.is_err() {
            // A connection in an unknown state does not go back to the pool.
            drop(Object::take(client));
        }
        applied
    }

    /// Applies one batch.
    async fn apply_alone(&self, batch: &Batch) -> Result<(), Error> {
        let units = group::units(&[batch]);
        retry(|| self.apply_once(&units, batch.relaxed)).await
    }

    /// Sends everything behind one another and reads the answers; the first failure counts.
    async fn in_transaction(&self, client: &Object, all: &[Unit<'_>], relaxed: bool, prepared: &[Statement]) -> Result<(), Error> {
        let begin = if relaxed { "BEGIN; SET LOCAL synchronous_commit = off" } else { "BEGIN" };
        let begin = async { client.batch_execute(begin).await.map(|()| 0).map_err(|e| failure("BEGIN", &e)) };
        let mut units: Vec<BoxFuture<'_, Result<u64, Error>>> = vec![Box::pin(begin)];
        let (mut first, mut done) = (true, 0);
        while done < all.len() {
            let end = all.len().min(done + PIPELINE);
            for (unit, prepared) in all[done..end].iter().zip(&prepared[done..end]) {
                units.push(Box::pin(self.execute(client, prepared, unit, false)));
            }
            let answers = in_order(std::mem::take(&mut units)).await;
            let mut answers = answers.into_iter();
            if std::mem::replace(&mut first, false) {
                answers.next().unwrap_or(Err(Error::Closed))?;
            }
            for (unit, answer) in all[done..end].iter().zip(answers) {
                let n = answer?;
                if let Unit::Exec { stmt, expect: Expect::Rows(want), .. } = unit
                    && n != *want
                {
                    return Err(Error::Conflict(stmt.name));
                }
            }
            done = end;
        }
        Ok(())
    }
}

/// Reads rows.
fn rows(name: &'static str, found: &[tokio_postgres::Row]) -> Result<Vec<Row>, Error> {
    let read = |row: &tokio_postgres::Row| (0..row.len()).map(|i| row.try_get::<_, Value>(i)).collect::<Result<_, _>>().map(Row);
    found.iter().map(|row| read(row).map_err(|e| failure(name, &e))).collect()
}

/// Polls futures so that each sends its request after the one before it.
async fn in_order<T>(mut units: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = units.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (unit, done) in units.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = Pin::new(unit).poll(cx)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn refs<'a>(values: &'a [Bound<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|v| v as &(dyn ToSql + Sync)).collect()
}

impl Driver for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
    fn fetch(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        Box::pin(async move { self.inner.fetch(stmt, &binds).await })
    }
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            super::check(&batch)?;
            let batch = Arc::new(batch);
            if batch.relaxed {
                self.group.apply(&self.inner, &batch).await?;
            } else {
                let (inner, unit) = (Arc::clone(&self.inner), Arc::clone(&batch));
                // Its own task: a caller that goes away must not leave a connection inside a transaction.
                tokio::spawn(async move { inner.apply_alone(&unit).await }).await.map_err(|_| Error::Closed)??;
            }
            self.lanes.note(&batch);
            for topic in &batch.wakes {
                self.wake.notify(*topic);
                self.notifier.send(*topic);
            }
            Ok(())
        })
    }
    fn id_block(&self, kind: IdKind, n: i64) -> BoxFuture<'_, Result<Range<i64>, Error>> {
        Box::pin(async move {
            let binds = vec![("name", kind.name().into()), ("first", kind.first().into()), ("n", n.into())];
            let rows = self.inner.fetch(&texts::IDS, &binds).await?;
            let end = rows.first().ok_or(Error::Closed)?.int(0)?;
            Ok(end - n..end)
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
            self.notifier.stop();
            self.inner.pool.close();
        })
    }
}

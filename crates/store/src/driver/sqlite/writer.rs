//! The writing thread: units of many callers share one transaction and one sync of the disk; each unit has its own savepoint.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Session, alone::Alone, failure};
use crate::error::Error;

/// Units that may wait for the writer; more callers wait outside, which is the back-pressure.
const QUEUE: usize = 1_024;
/// Most units of one commit: bounds how much a failing commit takes down.
const MAX_GROUP: usize = 256;
/// A group is committed after this time although more units wait, so that the first callers get their answer.
const MAX_GROUP_TIME: Duration = Duration::from_millis(20);
/// Pause of the checkpointer between two rounds.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(100);
/// Pages in the log (of 4 kB) above which the writer checkpoints itself between two groups: nobody writes then, so the log restarts. A
/// bare background checkpointer let the log grow to 1.5 GB in 6 s.
const MAX_LOG_PAGES: i64 = 8_000;

/// Runs in the transaction and answers what to tell the caller once it is known whether the commit succeeded.
type Unit = Box<dyn FnOnce(&Session) -> Result<Reply, Reply> + Send>;
/// Gets the commit's error, if any.
type Reply = Box<dyn FnOnce(Option<&Error>) + Send>;

/// Who writes.
pub(super) enum Writer {
    /// A thread.
    Thread(Thread),
    /// The caller's thread, in a simulation.
    Caller(Arc<Alone>),
}

/// The thread's handle.
pub(super) struct Thread {
    units: Mutex<Option<mpsc::Sender<Unit>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writer {
    /// Runs `unit` in a transaction; the answer comes after the commit. An error or a panic undoes this unit only.
    pub(super) async fn run<T: Send + 'static>(&self, unit: impl Fn(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        match self {
            Self::Thread(thread) => thread.run(unit).await,
            Self::Caller(alone) => alone.write(unit),
        }
    }

    /// Finishes what is queued and closes the database.
    pub(super) async fn close(&self) {
        match self {
            Self::Thread(thread) => thread.close().await,
            Self::Caller(alone) => alone.close(),
        }
    }
}

impl Thread {
    /// Starts the thread; it keeps `lock` until it has closed the database.
    pub(super) fn start(path: &Path, session: Session, lock: File) -> Result<Self, Error> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let (kick, kicked) = sync_channel(1);
        let pages = Arc::new(AtomicI64::new(0));
        let own = Connection::open(path).map_err(|e| failure("open the checkpointer", &e))?;
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let seen = Arc::clone(&pages);
        let start_failed = |e: std::io::Error| Error::backend("start the writer", e);
        let checkpointer = named("sqlite-checkpoint").spawn(move || checkpoints(&own, &kicked, &seen)).map_err(start_failed)?;
        let main = move || {
            work(&session, rx, &kick, &pages);
            drop(kick);
            let _ = checkpointer.join();
            // Nothing is left in the log, so that a copy of the one file is a backup.
            let _ = session.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            drop(session);
            drop(lock);
        };
        let thread = named("sqlite-write").spawn(main).map_err(start_failed)?;
        Ok(Self { units: Mutex::new(Some(tx)), threads: Mutex::new(vec![thread]) })
    }

    async fn run<T: Send + 'static>(&self, unit: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let units = self.units.lock().clone().ok_or(Error::Closed)?;
        let (tx, rx) = oneshot::channel();
        let unit: Unit = Box::new(move |s| {
            let result = unit(s);
            let failed = result.is_err();
            let reply: Reply = Box::new(move |commit| {
                let _ = tx.send(commit.map_or(result, |e| Err(e.clone())));
            });
            if failed { Err(reply) } else { Ok(reply) }
        });
        units.send(unit).await.map_err(|_| Error::Closed)?;
        drop(units);
        rx.await.unwrap_or(Err(Error::backend("unit of work", "it panicked and was undone")))
    }

    async fn close(&self) {
        self.units.lock().take();
        let threads = std::mem::take(&mut *self.threads.lock());
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|t| drop(t.join()))).await;
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.units.lock().take();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(session: &Session, mut units: mpsc::Receiver<Unit>, kick: &SyncSender<()>, pages: &AtomicI64) {
    while let Some(first) = units.blocking_recv() {
        group(session, first, &mut units);
        if let Err(TrySendError::Disconnected(())) = kick.try_send(()) {
            tracing::error!("the checkpointer has ended; the log is checkpointed by the writer");
        }
        if pages.swap(0, Ordering::Relaxed) > MAX_LOG_PAGES {
            let _ = checkpoint(&session.conn);
        }
    }
}

/// One transaction.
fn group(session: &Session, first: Unit, units: &mut mpsc::Receiver<Unit>) {
    let since = Instant::now();
    let mut replies = Vec::new();
    let mut failure = session.control("BEGIN IMMEDIATE").err();
    let mut next = Some(first);
    while let Some(unit) = next.take() {
        if failure.is_none() {
            failure = run_unit(session, unit, &mut replies).err();
        } else {
            // There is no transaction. Dropping the unit would say "panicked", so it is run to its reply without effect.
            drop_unit(unit, &mut replies, session);
        }
        if failure.is_none() && replies.len() < MAX_GROUP && since.elapsed() < MAX_GROUP_TIME {
            next = units.try_recv().ok();
        }
    }
    if failure.is_none() {
        failure = session.control("COMMIT").err();
    }
    if let Some(e) = &failure {
        tracing::error!(error = %e, units = replies.len(), "a commit failed; every unit of the group is refused");
        if !session.conn.is_autocommit() {
            let _ = session.control("ROLLBACK");
        }
    }
    for reply in replies {
        reply(failure.as_ref());
    }
}

/// Runs one unit in its savepoint. An error means that the whole transaction is gone.
fn run_unit(session: &Session, unit: Unit, replies: &mut Vec<Reply>) -> Result<(), Error> {
    session.control("SAVEPOINT unit")?;
    // The session holds only caches besides the connection, and the savepoint undoes what the unit has written.
    let outcome = catch_unwind(AssertUnwindSafe(|| unit(session)));
    let undo = !matches!(outcome, Ok(Ok(_)));
    match outcome {
        Ok(Ok(reply) | Err(reply)) => replies.push(reply),
        Err(_) => tracing::error!("a unit of work panicked and was undone"),
    }
    if session.conn.is_autocommit() {
        // A full disk or an I/O error makes SQLite itself roll back everything.
        return Err(Error::backend("unit of work", "the database rolled back the whole transaction (disk full or I/O error)"));
    }
    if undo {
        session.control("ROLLBACK TO unit")?;
    }
    session.control("RELEASE unit")
}

/// Gets the reply of a unit that must not take effect: outside a transaction, on a connection that refuses to write.
fn drop_unit(unit: Unit, replies: &mut Vec<Reply>, session: &Session) {
    let _ = session.conn.execute_batch("PRAGMA query_only = ON");
    if let Ok(Ok(reply) | Err(reply)) = catch_unwind(AssertUnwindSafe(|| unit(session))) {
        replies.push(reply);
    }
    let _ = session.conn.execute_batch("PRAGMA query_only = OFF");
}

/// One passive checkpoint; answers the number of pages in the log.
fn checkpoint(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| r.get(1))
}

fn checkpoints(conn: &Connection, kicked: &Receiver<()>, pages: &AtomicI64) {
    // Never waits for the writer.
    let _ = conn.busy_timeout(Duration::ZERO);
    while kicked.recv().is_ok() {
        std::thread::sleep(CHECKPOINT_EVERY);
        if let Ok(n) = checkpoint(conn) {
            pages.store(n, Ordering::Relaxed);
        }
    }
}

//! The writing thread: units of many callers share one transaction and one sync of the disk. Savepoints, which copy each page that a unit touches, are
//! made only where units fail.

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

/// Groups after one in which a unit failed whose units have savepoints: failures come together, and each without savepoint makes its group run twice.
const CAREFUL_GROUPS: u32 = 16;

/// A unit of work with its caller.
trait Unit: Send {
    /// Runs in the transaction; may be run again after the transaction was taken back. Answers whether it is to take effect.
    fn run(&mut self, s: &Session) -> bool;
    /// Tells the caller the outcome, or the commit's error.
    fn reply(self: Box<Self>, commit: Option<&Error>);
}

struct Work<T, F> {
    work: F,
    /// None when it panicked.
    outcome: Option<Result<T, Error>>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, F: Fn(&Session) -> Result<T, Error> + Send> Unit for Work<T, F> {
    fn run(&mut self, s: &Session) -> bool {
        self.outcome = None;
        // The session holds only caches besides the connection, and what the unit has written is undone.
        match catch_unwind(AssertUnwindSafe(|| (self.work)(s))) {
            Ok(outcome) => self.outcome.insert(outcome).is_ok(),
            Err(_) => {
                tracing::error!("a unit of work panicked and was undone");
                false
            }
        }
    }
    fn reply(self: Box<Self>, commit: Option<&Error>) {
        let own = self.outcome.unwrap_or_else(|| Err(Error::backend("unit of work", "it panicked and was undone")));
        let _ = self.caller.send(commit.map_or(own, |e| Err(e.clone())));
    }
}

/// Who writes.
pub(super) enum Writer {
    /// A thread.
    Thread(Thread),
    /// The caller's thread, in a simulation.
    Caller(Arc<Alone>),
}

/// The thread's handle.
pub(super) struct Thread {
    units: Mutex<Option<mpsc::Sender<Box<dyn Unit>>>>,
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

    async fn run<T: Send + 'static>(&self, work: impl Fn(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let units = self.units.lock().clone().ok_or(Error::Closed)?;
        let (caller, answer) = oneshot::channel();
        units.send(Box::new(Work { work, outcome: None, caller })).await.map_err(|_| Error::Closed)?;
        drop(units);
        answer.await.unwrap_or(Err(Error::Closed))
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

fn work(session: &Session, mut units: mpsc::Receiver<Box<dyn Unit>>, kick: &SyncSender<()>, pages: &AtomicI64) {
    let mut careful = 0;
    while let Some(first) = units.blocking_recv() {
        group(session, first, &mut units, &mut careful);
        if let Err(TrySendError::Disconnected(())) = kick.try_send(()) {
            tracing::error!("the checkpointer has ended; the log is checkpointed by the writer");
        }
        if pages.swap(0, Ordering::Relaxed) > MAX_LOG_PAGES {
            let _ = checkpoint(&session.conn);
        }
    }
}

/// One transaction. `careful`: groups, this one included, whose units have savepoints.
fn group(session: &Session, first: Box<dyn Unit>, units: &mut mpsc::Receiver<Box<dyn Unit>>, careful: &mut u32) {
    let since = Instant::now();
    let mut group: Vec<Box<dyn Unit>> = Vec::new();
    let mut outcome = session.control("BEGIN IMMEDIATE");
    let mut next = Some(first);
    while let Some(unit) = next.take() {
        group.push(unit);
        if outcome.is_ok() {
            outcome = run_last(session, &mut group, careful);
            if outcome.is_ok() && group.len() < MAX_GROUP && since.elapsed() < MAX_GROUP_TIME {
                next = units.try_recv().ok();
            }
        }
    }
    *careful = careful.saturating_sub(1);
    if outcome.is_ok() {
        outcome = session.control("COMMIT");
    }
    let failure = outcome.err();
    if let Some(e) = &failure {
        tracing::error!(error = %e, units = group.len(), "a commit failed; every unit of the group is refused");
        if !session.conn.is_autocommit() {
            let _ = session.control("ROLLBACK");
        }
    }
    for unit in group {
        unit.reply(failure.as_ref());
    }
}

/// Runs the last unit of a group. When it fails and has no savepoint, the transaction is taken back and the whole group runs again, with savepoints.
/// An error means that the whole transaction is gone.
fn run_last(session: &Session, group: &mut [Box<dyn Unit>], careful: &mut u32) -> Result<(), Error> {
    let Some((last, before)) = group.split_last_mut() else { return Ok(()) };
    if *careful > 0 {
        return run_safe(session, last.as_mut());
    }
    let took = last.run(session);
    alive(session)?;
    if took {
        return Ok(());
    }
    *careful = CAREFUL_GROUPS;
    session.control("ROLLBACK")?;
    session.control("BEGIN IMMEDIATE")?;
    before.iter_mut().try_for_each(|unit| run_safe(session, unit.as_mut()))
}

/// Runs one unit in its savepoint.
fn run_safe(session: &Session, unit: &mut dyn Unit) -> Result<(), Error> {
    session.control("SAVEPOINT unit")?;
    let took = unit.run(session);
    alive(session)?;
    if !took {
        session.control("ROLLBACK TO unit")?;
    }
    session.control("RELEASE unit")
}

/// A full disk or an I/O error makes SQLite itself roll back everything.
fn alive(session: &Session) -> Result<(), Error> {
    if session.conn.is_autocommit() {
        return Err(Error::backend("unit of work", "the database rolled back the whole transaction (disk full or I/O error)"));
    }
    Ok(())
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

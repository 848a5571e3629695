//! Reading threads: a bounded queue, connections that cannot write, reads that are stopped when they take too long.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use super::{super::READ_LIMIT, Session, alone::Alone};
use crate::{dialect::Texts, error::Error};

/// Threads: reads are short and the machine has its cores to share with the writer.
const N_THREADS: std::ops::RangeInclusive<usize> = 2..=4;
/// Reads that may wait; more callers wait outside, which is the back-pressure.
const QUEUE: usize = 1_024;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 20_000;

type Unit = Box<dyn FnOnce(&Session) + Send>;

#[derive(Default)]
struct Queue {
    units: VecDeque<Unit>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    room: Semaphore,
}

/// Who reads.
pub(super) enum Readers {
    /// Threads.
    Threads(Threads),
    /// The caller's thread, in a simulation.
    Caller(Arc<Alone>),
}

/// The threads.
pub(super) struct Threads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Runs `read` on a connection that cannot write (a simulation's own could).
    pub(super) async fn run<T: Send + Any>(&self, read: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        match self {
            Self::Threads(threads) => threads.run(read).await,
            Self::Caller(alone) => alone.read(read),
        }
    }

    /// Refuses new reads and waits for those that run.
    pub(super) fn close(&self) {
        match self {
            Self::Threads(threads) => threads.close(),
            Self::Caller(alone) => alone.close(),
        }
    }
}

impl Threads {
    pub(super) fn start(path: &Path, texts: &Arc<Texts>) -> Result<Self, Error> {
        let shared = Arc::new(Shared { queue: Mutex::default(), filled: Condvar::new(), room: Semaphore::new(QUEUE) });
        let n = std::thread::available_parallelism()
            .map_or(*N_THREADS.start(), std::num::NonZero::get)
            .clamp(*N_THREADS.start(), *N_THREADS.end());
        let mut threads = vec![];
        for i in 0..n {
            let session = Session::reader(path, Arc::clone(texts))?;
            let shared = Arc::clone(&shared);
            let work = move || work(&session, &shared);
            threads.push(
                std::thread::Builder::new()
                    .name(format!("sqlite-read-{i}"))
                    .spawn(work)
                    .map_err(|e| Error::backend("start a reader", e))?,
            );
        }
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Runs `read` on one of the threads.
    async fn run<T: Send + Any>(&self, read: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let room = self.shared.room.acquire().await.map_err(|_| Error::Closed)?;
        let (tx, rx) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            if queue.closed {
                return Err(Error::Closed);
            }
            queue.units.push_back(Box::new(move |s| {
                // A caller that has gone away needs no answer.
                if !tx.is_closed() {
                    let _ = tx.send(read(s));
                }
            }));
        }
        self.shared.filled.notify_one();
        let answer = rx.await.unwrap_or(Err(Error::backend("read", "the reading thread failed")));
        drop(room);
        answer
    }

    /// Refuses new reads and waits for the threads.
    fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.room.close();
        self.shared.filled.notify_all();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(session: &Session, shared: &Shared) {
    // Microseconds since `start` at which the running read is stopped. A read that never ends would keep the log from being reset.
    let (start, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
    let micros = move || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let limit = Arc::clone(&deadline);
    session.conn.progress_handler(STEPS, Some(move || micros() > limit.load(Ordering::Relaxed)));
    loop {
        let unit = {
            let mut queue = shared.queue.lock();
            loop {
                if let Some(unit) = queue.units.pop_front() {
                    break unit;
                }
                if queue.closed {
                    return;
                }
                shared.filled.wait(&mut queue);
            }
        };
        deadline.store(micros() + u64::try_from(READ_LIMIT.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        // A panic drops the unit's sender, so its caller gets an error; the connection only reads and stays good.
        if catch_unwind(AssertUnwindSafe(|| unit(session))).is_err() {
            tracing::error!("a read panicked");
        }
    }
}

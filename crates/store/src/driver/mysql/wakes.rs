//! Wake-ups between processes by a one-row counter: these servers have no notifications. A change by somebody else wakes everybody here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use super::Inner;
use crate::{batch::Op, error::Error, schema::own, wake::Wake};

/// How often the counter is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// The task that looks.
pub(super) struct Watcher {
    woken: Arc<AtomicBool>,
    over: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    pub(super) fn start(inner: Arc<Inner>, wake: Wake) -> Self {
        let woken = Arc::new(AtomicBool::new(false));
        let (over, heard) = watch::channel(false);
        let task = tokio::spawn(run(inner, wake, Arc::clone(&woken), heard));
        Self { woken, over, task: Mutex::new(Some(task)) }
    }
    /// Tells other processes at the next look.
    pub(super) fn send(&self) {
        self.woken.store(true, Ordering::Relaxed);
    }
    /// Returns when it looks no more; a look under way ends, so that its connection goes back to the pool.
    pub(super) async fn stop(&self) {
        self.over.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

async fn run(inner: Arc<Inner>, wake: Wake, woken: Arc<AtomicBool>, mut over: watch::Receiver<bool>) {
    let mut seen = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            _ = over.wait_for(|over| *over) => return,
        }
        match look(&inner, &woken).await {
            Ok((n, own)) => {
                if seen.is_some_and(|seen| n > seen + own) {
                    wake.notify_all();
                }
                seen = Some(n);
            }
            Err(Error::Closed) => return,
            Err(e) => tracing::debug!(error = %e, "the wake-up counter was not read"),
        }
    }
}

/// The counter, and by how much it is our own doing.
async fn look(inner: &Inner, woken: &AtomicBool) -> Result<(i64, i64), Error> {
    let mut own = 0;
    if woken.swap(false, Ordering::Relaxed) {
        inner.alone(&Op::Exec { stmt: &own::WAKE_BUMP, binds: vec![], expect: crate::batch::Expect::Any }).await?;
        own = 1;
    }
    let rows = inner.fetch(&own::WAKE_READ, &vec![]).await?;
    Ok((rows.first().map_or(Ok(0), |r| r.int(0))?, own))
}

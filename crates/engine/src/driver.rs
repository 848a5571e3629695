//! The only timer of the engine: runs each loop when it is woken and, as a safety net, periodically.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::select_all};
use panda_ops::Ops;
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Report,
    lease::{self, Keeper, Part, Parts},
    loops::{self, LoopKind},
};

/// Pause after a failed step, so that a broken database is not hammered.
const ERROR_PAUSE: Duration = Duration::from_secs(2);
/// Most steps in a row before the loop looks at its shutdown signal and yields.
const MAX_STEPS: usize = 50;

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Name of this process in the leases; no other living process on the database has it.
    pub holder: String,
    /// Longest time between two steps of a loop without a wake-up.
    pub period: Duration,
}

impl EngineOptions {
    /// Defaults for a holder.
    #[must_use]
    pub fn new(holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), period: Duration::from_secs(5) }
    }
}

/// How a loop fares, for the monitor.
#[derive(Debug, Clone)]
pub struct LoopStatus {
    /// The loop.
    pub kind: LoopKind,
    /// Microseconds UTC of the last step.
    pub last_us: i64,
    /// Steps made.
    pub steps: u64,
    /// Rows moved on.
    pub done: u64,
    /// What the last failed step said.
    pub last_error: Option<String>,
}

/// The running engine.
#[derive(Debug)]
pub struct Engine {
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    status: Arc<Mutex<Vec<LoopStatus>>>,
}

impl Engine {
    /// Starts the loops; each runs while this process holds its lease.
    #[must_use]
    pub fn start(ops: Arc<Ops>, options: EngineOptions) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ended, all_ended) = watch::channel(false);
        let parts = Arc::new(Parts::default());
        let options = Arc::new(options);
        let status = Arc::new(Mutex::new(
            LoopKind::ALL.iter().map(|&kind| LoopStatus { kind, last_us: 0, steps: 0, done: 0, last_error: None }).collect::<Vec<_>>(),
        ));
        let (lead_tx, lead_rx) = watch::channel(0);
        let keeper = Keeper::new(&options.holder, parts.clone());
        let keeper = tokio::spawn(keep_leases(ops.clone(), keeper, lead_tx, all_ended));
        let mut tasks = vec![];
        for kind in LoopKind::ALL {
            let runner = Runner {
                ops: ops.clone(),
                options: options.clone(),
                kind: *kind,
                parts: parts.clone(),
                status: status.clone(),
                stopped: stopped.clone(),
                lead: lead_rx.clone(),
            };
            tasks.push(tokio::spawn(runner.run()));
        }
        Self { stop, ended, tasks: Mutex::new(tasks), keeper: Mutex::new(Some(keeper)), status }
    }
    /// How the loops fare.
    #[must_use]
    pub fn status(&self) -> Vec<LoopStatus> {
        self.status.lock().clone()
    }
    /// Stops the loops after their present step and gives the leases back.
    pub async fn shutdown(&self) {
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            let _ = task.await;
        }
        let _ = self.ended.send(true);
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

/// Keeps the leases until all loops have ended.
async fn keep_leases(ops: Arc<Ops>, mut keeper: Keeper, lead: watch::Sender<u64>, mut ended: watch::Receiver<bool>) {
    let mut held: Vec<&str> = vec![];
    loop {
        if let Err(e) = keeper.keep(&ops).await {
            tracing::error!("engine leases: {e}");
        }
        let now: Vec<&str> = keeper.held().collect();
        if now != held {
            tracing::info!(holds = now.join(" "), "engine leases");
            if !now.contains(&LoopKind::Refine.part()) {
                // Somebody else may list on.
                crate::feed::forget(&ops);
            }
            held = now;
            lead.send_modify(|n| *n += 1);
        }
        tokio::select! {
            () = tokio::time::sleep(lease::PERIOD) => {}
            _ = ended.wait_for(|e| *e) => break,
        }
    }
    keeper.give_back(&ops).await;
}

struct Runner {
    ops: Arc<Ops>,
    options: Arc<EngineOptions>,
    kind: LoopKind,
    parts: Arc<Parts>,
    status: Arc<Mutex<Vec<LoopStatus>>>,
    stopped: watch::Receiver<bool>,
    lead: watch::Receiver<u64>,
}

impl Runner {
    async fn run(mut self) {
        let wake = self.ops.store.wake().clone();
        let mut topics: Vec<_> = self.kind.topics().iter().map(|t| wake.subscribe(*t)).collect();
        let period = self.kind.period(self.options.period);
        loop {
            if *self.stopped.borrow() {
                return;
            }
            // Wake-ups before this line are seen by the step, those after it by `changed`.
            for topic in &mut topics {
                topic.mark_unchanged();
            }
            let again = self.steps().await;
            if again {
                continue;
            }
            let woken = select_all(topics.iter_mut().map(|t| t.changed().boxed()).chain([std::future::pending().boxed()]));
            tokio::select! {
                _ = woken => {}
                _ = self.lead.changed() => {}
                () = tokio::time::sleep(period) => {}
                _ = self.stopped.changed() => return,
            }
        }
    }
    /// Steps until there is nothing more to do at once; true when the bound was met before that.
    async fn steps(&self) -> bool {
        for _ in 0..MAX_STEPS {
            let Some(entered) = self.parts.get(self.kind.part()).and_then(Part::enter) else { return false };
            let now = self.ops.now();
            let result = loops::step(self.kind, &self.ops, now).await;
            self.note(now.0, &result);
            match result {
                Ok(report) if report.more => tokio::task::yield_now().await,
                Ok(_) => return false,
                Err(e) if e.is_conflict() => {
                    tracing::debug!("{}: {e}; again", self.kind.name());
                    return true;
                }
                Err(e) => {
                    tracing::error!("{}: {e}", self.kind.name());
                    drop(entered);
                    tokio::time::sleep(ERROR_PAUSE).await;
                    return false;
                }
            }
        }
        true
    }
    fn note(&self, now: i64, result: &Result<Report, crate::EngineError>) {
        let mut all = self.status.lock();
        let Some(status) = all.iter_mut().find(|s| s.kind == self.kind) else { return };
        status.last_us = now;
        status.steps += 1;
        match result {
            Ok(report) => status.done += report.done as u64,
            Err(e) => status.last_error = Some(e.to_string()),
        }
    }
}

//! One slot: asks for a job, runs it, asks again.
//!
//! Owns waiting for work. An answer that carries a job is never thrown away:
//! asking is not interrupted, only waiting is.

use std::time::{Duration, Instant};

use panda_client::{Backoff, ClientError};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Context, execute};

/// Time that the server may keep a waiting call.
const WAIT_S: u64 = 30;

/// A wait that ends sooner without work is taken for a server that does not
/// really wait, and is paused for.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// Pauses when the server does not answer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Pauses when the server says there is work and gives none: it is work for
/// another worker.
const FIRST_EMPTY_PAUSE: Duration = Duration::from_millis(50);
const MAX_EMPTY_PAUSE: Duration = Duration::from_secs(5);

/// Runs jobs until the worker ends.
pub(crate) async fn run(context: &Context, slot: usize, shutdown: &mut watch::Receiver<bool>) {
    while let Some(taken) = next(context, shutdown).await {
        execute::run(context, slot, &taken, shutdown).await;
    }
}

/// A job, and how long the asking took.
pub(crate) struct Taken {
    pub(crate) job: Value,
    pub(crate) asked_s: u64,
}

/// The next job; `None` when the worker ends.
async fn next(context: &Context, shutdown: &mut watch::Receiver<bool>) -> Option<Taken> {
    let _gate = tokio::select! {
        gate = context.gate.lock() => gate,
        () = stopped(shutdown) => return None,
    };
    let mut broken = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    let mut empty = Backoff::new(FIRST_EMPTY_PAUSE, MAX_EMPTY_PAUSE);
    while !is_stopped(shutdown) {
        let begin = Instant::now();
        let pause = match acquire(context).await {
            Ok(Some(job)) => {
                return Some(Taken { job, asked_s: begin.elapsed().as_secs() });
            }
            Ok(None) => {
                broken.reset();
                tokio::select! {
                    pause = wait(context, &mut empty, &mut broken) => pause,
                    () = stopped(shutdown) => return None,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no job could be asked for");
                Some(broken.pause())
            }
        };
        if let Some(pause) = pause {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(shutdown) => return None,
            }
        }
    }
    None
}

/// Asks for one job; `None` when there is none.
async fn acquire(context: &Context) -> Result<Option<Value>, ClientError> {
    let options = &context.options;
    let body = json!({
        "site_name": options.queue,
        "computing_element": options.queue,
        "prod_source_label": "unified",
        "n_jobs": 1,
        "memory": memory_mb(),
        "disk_space": disk_mb(context),
        "node": context.node,
    });
    let answer = context.client.post("pilot", "acquire_jobs", &body).await?;
    if !answer.success {
        if answer.message.starts_with("No jobs") {
            return Ok(None);
        }
        return answer.ok().map(|_| None);
    }
    let job = answer.data.get("jobs").and_then(|jobs| jobs.get(0)).cloned();
    Ok(job.filter(Value::is_object))
}

/// Waits until the server knows of work. Returns a pause to make before asking.
async fn wait(context: &Context, empty: &mut Backoff, broken: &mut Backoff) -> Option<Duration> {
    let begin = Instant::now();
    let body = json!({"queue": context.options.queue, "timeout_s": WAIT_S});
    match context.client.own_post("pilot/wait", &body).await.and_then(|answer| answer.ok()) {
        Ok(answer) => {
            let ready = answer.data.get("ready").and_then(Value::as_bool).unwrap_or(false);
            if begin.elapsed() >= SHORTEST_WAIT {
                // A real wait: the next answer is likely to be worth it.
                empty.reset();
                return None;
            }
            // Ready at once: work came between the two calls, or it is not for
            // this worker. The first time costs next to nothing.
            ready.then(|| empty.pause()).or_else(|| Some(broken.pause()))
        }
        Err(error) => {
            tracing::debug!(%error, "the server cannot be waited for");
            Some(broken.pause())
        }
    }
}

/// Memory of this machine in MB; 0 when unknown, which the server takes for any.
fn memory_mb() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}

/// Free space for scratch directories in MB; 0 when unknown.
fn disk_mb(context: &Context) -> u64 {
    rustix::fs::statvfs(&context.options.work_dir).map_or(0, |space| space.f_bavail.saturating_mul(space.f_frsize) >> 20)
}

/// Whether the worker ends.
pub(crate) fn is_stopped(shutdown: &watch::Receiver<bool>) -> bool {
    *shutdown.borrow() || shutdown.has_changed().is_err()
}

/// Resolves when the worker ends; a dropped sender counts.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

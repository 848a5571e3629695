//! After a worker was killed: what its journal says is put in order.
//!
//! Owns the ending of left-over processes, the delivery of waiting reports, and
//! the report of lost jobs. A process is ended only when start time or mark say
//! that it is the journal's.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use panda_client::Backoff;
use rustix::process::Signal;
use tokio::sync::watch;

use super::journal::{Entry, Journal, Spooled};
use super::{Context, procfs, report};

/// Time that left-over processes get between TERM and KILL. Their worker is
/// gone, so nothing they still do counts.
const GRACE: Duration = Duration::from_secs(2);

/// How often a grace period is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Pauses while the server does not answer.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What a lost job's report says.
const LOST: &str = "worker was killed and restarted";

/// Ends what the last worker left running and removes its scratch directories.
pub(crate) async fn clean(context: &Context, slots: &[usize]) {
    let entries: Vec<Entry> = slots
        .iter()
        .filter_map(|slot| Journal::new(&context.options.work_dir, *slot).read())
        .filter(|entry| entry.boot_id == context.boot_id)
        .collect();
    let scratch = context.options.work_dir.join("scratch");
    let _ = tokio::task::spawn_blocking(move || {
        end_processes(&entries);
        remove_scratch(scratch);
    })
    .await;
}

fn end_processes(entries: &[Entry]) {
    let signal = |signal| {
        entries.iter().map(|entry| usize::from(signal_leader(entry, signal)) + procfs::signal_marked(&entry.mark, signal)).sum::<usize>()
    };
    if entries.is_empty() || signal(Signal::TERM) == 0 {
        return;
    }
    let begin = Instant::now();
    let alive = || entries.iter().any(|entry| is_leader(entry) || !procfs::marked(&entry.mark).is_empty());
    while begin.elapsed() < GRACE && alive() {
        std::thread::sleep(LOOK);
    }
    let ended = signal(Signal::KILL);
    tracing::info!(killed = ended, "payloads of the last worker were ended");
}

/// Whether the journal's process is still the one with that number.
fn is_leader(entry: &Entry) -> bool {
    match (entry.pid, entry.pid_start) {
        (Some(pid), Some(start)) => procfs::stat(pid).is_some_and(|stat| stat.start == start),
        _ => false,
    }
}

fn signal_leader(entry: &Entry, signal: Signal) -> bool {
    match entry.pid {
        Some(pid) if is_leader(entry) => {
            procfs::signal_group(pid, signal);
            true
        }
        _ => false,
    }
}

fn remove_scratch(scratch: PathBuf) {
    if scratch.exists()
        && let Err(error) = fs::remove_dir_all(&scratch)
    {
        tracing::warn!(%error, "old scratch directories could not be removed");
    }
}

/// Jobs that the server handed to this worker and of which the journal knows nothing: the worker was killed before the answer came. (id, attempt)
///
/// Asked before anything new is taken; a server that does not answer gives no new jobs either, so there is time.
pub(crate) async fn unseen(context: &Context, slots: &[usize], shutdown: &mut watch::Receiver<bool>) -> Vec<(i64, i64)> {
    let journals = slots.iter().map(|slot| Journal::new(&context.options.work_dir, *slot));
    let known: Vec<i64> = journals
        .flat_map(|journal| {
            let reported = journal.spooled().and_then(|spooled| spooled.body.get("job_id")?.as_i64());
            journal.read().map(|entry| entry.job_id).into_iter().chain(reported)
        })
        .collect();
    let query = [("queue", context.options.queue.as_str()), ("node", context.node.as_str())];
    let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    loop {
        match context.client.own_get("pilot/held", &query).await {
            // A refusal, or a server that knows no such question: its timeouts find these jobs.
            Ok(answer) => return held(&answer.data).filter(|(id, _)| !known.contains(id)).collect(),
            Err(error) if error.status().is_some_and(|status| (400..500).contains(&status)) => return Vec::new(),
            Err(error) => tracing::debug!(%error, "the server cannot be asked for lost jobs yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            _ = shutdown.wait_for(|stop| *stop) => return Vec::new(),
        }
    }
}

fn held(data: &serde_json::Value) -> impl Iterator<Item = (i64, i64)> {
    data.as_array().into_iter().flatten().filter_map(|job| Some((job.get("job_id")?.as_i64()?, job.get("attempt")?.as_i64()?)))
}

/// Reports jobs of [`unseen`] as lost. What cannot be said now is said at the next start.
pub(crate) async fn give_back(context: &Context, jobs: &[(i64, i64)], shutdown: &mut watch::Receiver<bool>) {
    for (id, attempt) in jobs {
        tracing::info!(job = id, "job handed over when the last worker was killed");
        let body = report::lost(context, *id, *attempt, LOST);
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        while let Err(error) = report::send(&context.client, &body).await {
            tracing::debug!(%error, "a lost job could not be reported yet");
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }
}

/// Delivers what a slot left: its waiting report, or that its job is lost.
pub(crate) async fn settle(context: &Context, slot: usize, shutdown: &mut watch::Receiver<bool>) {
    let journal = Journal::new(&context.options.work_dir, slot);
    if let Some(spooled) = journal.spooled() {
        report::deliver(context, &journal, &spooled, shutdown).await;
        return;
    }
    let Some(entry) = journal.read() else {
        return;
    };
    tracing::info!(job = entry.job_id, "job lost with the last worker");
    // Files of another attempt under the same names are not ours to remove.
    let ours = report::status_of(&context.client, entry.job_id).await.is_none_or(|(_, attempt)| attempt == entry.attempt);
    if ours {
        report::remove_files(entry.files).await;
    }
    let spooled = Spooled { body: report::lost(context, entry.job_id, entry.attempt, LOST), files: Vec::new() };
    if let Err(error) = journal.spool(&spooled) {
        tracing::warn!(%error, "a report could not be written to disk");
    }
    report::deliver(context, &journal, &spooled, shutdown).await;
}

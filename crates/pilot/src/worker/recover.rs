//! After a worker was killed: what its journal says is put in order.
//!
//! Owns the ending of left-over processes, the delivery of waiting reports, and
//! the report of lost jobs. A process is ended only when start time or mark say
//! that it is the journal's.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::watch;

use super::journal::{Entry, Journal, Spooled};
use super::{Context, procfs, report};

/// Time that left-over processes get between TERM and KILL. Their worker is
/// gone, so nothing they still do counts.
const GRACE: Duration = Duration::from_secs(2);

/// How often a grace period is looked at.
const LOOK: Duration = Duration::from_millis(50);

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

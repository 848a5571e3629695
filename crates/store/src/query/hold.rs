//! Holds: queues, machines of queues and the whole server that get no jobs, and what ended lately at a queue.

use panda_core::{
    id::{JobId, LaneId, QueueId},
    job::error::Source,
    policy::brake::{HoldKind, HoldState},
};

use super::code;
use crate::{Batch, Error, Row, Store, statements};

/// Stands for all machines of a queue.
pub const EVERY_NODE: &str = "*";
/// Stands for all queues.
pub const SERVER: QueueId = QueueId(0);

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// The queue, or [`SERVER`].
    pub queue_id: QueueId,
    /// The machine, or [`EVERY_NODE`].
    pub node: String,
    /// Whose hold it is.
    pub kind: HoldKind,
    /// How it stands.
    pub state: HoldState,
    /// Why, one sentence for people.
    pub reason: String,
    /// Who set it.
    pub who: String,
    /// Microseconds UTC when it was set, or ended when it is free.
    pub since_us: i64,
    /// Microseconds UTC when the next canary job may go, or when it is given up to wait for one that was not found.
    pub next_us: i64,
    /// Seconds between canary jobs, as they are now.
    pub wait_s: i64,
    /// Canary jobs that failed.
    pub tries: i64,
    /// The canary job that is under way.
    pub job_id: Option<JobId>,
    /// Revision.
    pub rev: i64,
}

/// A job that ended at a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Number.
    pub id: JobId,
    /// Whether it failed.
    pub failed: bool,
    /// Its machine, as the pilot called it.
    pub host: Option<String>,
    /// Whether a pilot had it.
    pub handed_out: bool,
    /// Owner's row.
    pub person_id: i64,
    /// Its task, or its own number.
    pub task: i64,
    /// Its error codes; those of 0 are left out.
    pub codes: Vec<(Source, i64)>,
    /// Microseconds UTC when a pilot got it; when it ended, where none did.
    pub started_us: i64,
    /// Microseconds UTC.
    pub ended_us: i64,
}

statements! {
    [hot] read LIST = "hold.list", "SELECT queue_id, node, kind, state, reason, who, since_us, next_us, wait_s, tries, job_id, rev FROM queue_hold WHERE queue_id >= :from ORDER BY queue_id, node, kind LIMIT 10000";
    insert ADD = "hold.add" => queue_hold (queue_id: Int, node: Text, kind: Text, state: Text, reason: Text, who: Text, since_us: Int, next_us: Int, wait_s: Int, tries: Int, job_id: Int, rev: Int), "";
    [hot] write SET = "hold.set", "UPDATE queue_hold SET state = :state, reason = :reason, who = :who, since_us = :since, next_us = :next, wait_s = :wait, tries = :tries, job_id = :job, rev = rev + 1 WHERE queue_id = :queue AND node = :node AND kind = :kind AND rev = :rev";
    [hot] write DELETE = "hold.delete", "DELETE FROM queue_hold WHERE queue_id = :queue AND node = :node AND kind = :kind AND rev = :rev";
    [hot] read ENDED = "hold.ended", "SELECT id, state, host, started_us, person_id, task_id, ended_us, trans_exit_code, exe_error_code, pilot_error_code, ddm_error_code, sup_error_code, dispatcher_error_code, server_error_code FROM job WHERE queue_id = :queue AND ended_us >= :since AND state IN ('finished', 'merging', 'failed') ORDER BY ended_us DESC LIMIT :n";
    [hot] read RUNNING = "hold.running", "SELECT COUNT(*) FROM (SELECT id FROM job WHERE state = 'running' AND lane_id IN (:lanes*) AND started_us BETWEEN :since AND :until AND (COALESCE(host, '-') LIKE :slots OR host = :machine) LIMIT :n) r";
}

fn read(r: &Row) -> Result<HoldRow, Error> {
    Ok(HoldRow {
        queue_id: QueueId(r.int(0)?),
        node: r.text(1)?.to_owned(),
        kind: code("hold", r.text(2)?, HoldKind::parse(r.text(2)?).ok())?,
        state: code("state of a hold", r.text(3)?, HoldState::parse(r.text(3)?).ok())?,
        reason: r.text(4)?.to_owned(),
        who: r.text(5)?.to_owned(),
        since_us: r.int(6)?,
        next_us: r.int(7)?,
        wait_s: r.int(8)?,
        tries: r.int(9)?,
        job_id: r.opt_int(10)?.map(JobId),
        rev: r.int(11)?,
    })
}
/// Every hold, by queue, machine and kind; at most 10,000.
pub async fn list(store: &Store) -> Result<Vec<HoldRow>, Error> {
    store.fetch(&LIST, vec![("from", 0.into())]).await?.iter().map(read).collect()
}
/// Adds a hold; a duplicate means that there is one of this kind already.
pub fn add(batch: &mut Batch, h: &HoldRow) {
    batch.insert(
        &ADD,
        vec![
            h.queue_id.into(),
            (&h.node).into(),
            h.kind.as_str().into(),
            h.state.as_str().into(),
            (&h.reason).into(),
            (&h.who).into(),
            h.since_us.into(),
            h.next_us.into(),
            h.wait_s.into(),
            h.tries.into(),
            h.job_id.into(),
            0.into(),
        ],
    );
}
/// Changes a hold that still has revision `h.rev`.
pub fn set(batch: &mut Batch, h: &HoldRow) {
    batch.guard(
        &SET,
        vec![
            ("state", h.state.as_str().into()),
            ("reason", (&h.reason).into()),
            ("who", (&h.who).into()),
            ("since", h.since_us.into()),
            ("next", h.next_us.into()),
            ("wait", h.wait_s.into()),
            ("tries", h.tries.into()),
            ("job", h.job_id.into()),
            ("queue", h.queue_id.into()),
            ("node", (&h.node).into()),
            ("kind", h.kind.as_str().into()),
            ("rev", h.rev.into()),
        ],
        1,
    );
}
/// Removes a hold that still has revision `h.rev`.
pub fn delete(batch: &mut Batch, h: &HoldRow) {
    let binds = vec![("queue", h.queue_id.into()), ("node", (&h.node).into()), ("kind", h.kind.as_str().into()), ("rev", h.rev.into())];
    batch.guard(&DELETE, binds, 1);
}
/// The newest jobs that ended well (those whose outputs are to be merged included) or badly at a queue since `since_us`; at most `n` and 5,000.
pub async fn ended(store: &Store, queue: QueueId, since_us: i64, n: i64) -> Result<Vec<Ended>, Error> {
    let rows = store.fetch(&ENDED, vec![("queue", queue.into()), ("since", since_us.into()), ("n", n.min(5_000).into())]).await?;
    rows.iter()
        .map(|r| {
            let host = r.opt_text(2)?.map(str::to_owned);
            let mut codes = Vec::new();
            for (i, source) in Source::ALL.iter().enumerate() {
                codes.extend(r.opt_int(7 + i)?.filter(|c| *c != 0).map(|c| (*source, c)));
            }
            Ok(Ended {
                id: JobId(r.int(0)?),
                failed: r.text(1)? == "failed",
                handed_out: host.is_some() || r.opt_int(3)?.is_some(),
                host,
                person_id: r.int(4)?,
                task: r.opt_int(5)?.map_or(r.int(0)?, |t| t),
                started_us: r.opt_int(3)?.map_or(r.int(6)?, |s| s),
                ended_us: r.int(6)?,
                codes,
            })
        })
        .collect()
}
/// Running jobs of these lanes that pilots got from `since_us` to `until_us`, those of one machine if it is given; at most `n` are counted.
pub async fn running(store: &Store, lanes: &[LaneId], on: Option<&str>, since_us: i64, until_us: i64, n: i64) -> Result<i64, Error> {
    if lanes.is_empty() || until_us < since_us {
        return Ok(0);
    }
    let binds = vec![
        ("lanes", lanes.iter().map(|l| l.0).collect::<Vec<i64>>().into()),
        ("since", since_us.into()),
        ("until", until_us.into()),
        ("slots", on.map_or("%".to_owned(), |on| format!("%@{on}")).into()),
        ("machine", on.unwrap_or("-").into()),
        ("n", n.into()),
    ];
    store.fetch(&RUNNING, binds).await?.first().map_or(Ok(0), |r| r.int(0))
}

//! Claims of many callers combined per lane, for backends behind a network: while a claim for a lane is in flight, arrivals wait and are
//! served by one claim of as many rows; a lone caller goes straight. It knows no backend: that is a [`Takes`].

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use panda_core::id::LaneId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Claim, Claimed,
    scan::{self, Key},
};
use crate::{
    batch::{Batch, Binds, Op},
    error::Error,
    query::job::claim as texts,
    stmt::Stmt,
    value::{Row, Value},
};

/// How long a remembered place in a lane, or that it was empty, is believed: other processes activate jobs too.
const MEMORY: Duration = Duration::from_secs(1);
/// Most rows of one combined claim: bounds the size of its answer (documents of some kB each).
const MAX_ROWS: usize = 64;
/// How often a lane whose candidates others hold is read again; each time at least one of them is gone.
const ROUNDS: usize = 10;

/// Which rows of a lane a claim takes.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// The first ones at or behind this key.
    Key(Key),
    /// Of these jobs; with `wait` also such that another transaction holds just now.
    Ids {
        /// Candidates.
        ids: Vec<i64>,
        /// Wait for locks instead of skipping.
        wait: bool,
    },
}

/// One claim as the backend runs it. Slot `i` is for whoever has `hosts[i]`; a picked row beyond the limits stays, and its slot empty.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) lane: LaneId,
    pub(super) from: From,
    pub(super) hosts: Vec<Option<String>>,
    pub(super) max_ram_mb: i64,
    pub(super) max_disk_mb: i64,
    pub(super) max_walltime_s: i64,
    pub(super) now_us: i64,
}

/// A backend that can take jobs.
pub(super) trait Takes: Send + Sync + 'static {
    /// Takes rows in one transaction: state, event, documents. Answers the slot (from 0) of each.
    fn take(&self, order: Order) -> BoxFuture<'_, Result<Vec<(usize, Claimed)>, Error>>;
    /// Runs one SELECT.
    fn read(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>>;
}

struct Waiter {
    claim: Arc<Claim>,
    n: usize,
    reply: oneshot::Sender<Result<Vec<Claimed>, Error>>,
}

struct Lane {
    busy: bool,
    waiting: Vec<Waiter>,
    /// Where the last claim ended, so that index entries of taken jobs that are dead but not yet removed are not walked over.
    place: Key,
    /// When `place` was at the start of the lane.
    since: Instant,
    /// When the lane was found empty.
    empty: Option<Instant>,
}

/// What is remembered of the lanes. Losing it costs time, never correctness.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<LaneId, Lane>>);

impl Lanes {
    fn with<T>(&self, lane: LaneId, f: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.0.lock();
        f(lanes.entry(lane).or_insert_with(|| Lane {
            busy: false,
            waiting: vec![],
            place: scan::START,
            since: Instant::now(),
            empty: None,
        }))
    }
    fn forget(&self, lane: LaneId) {
        self.with(lane, |l| {
            l.place = scan::START;
            l.empty = None;
        });
    }
    fn seems_empty(&self, lane: LaneId) -> bool {
        self.with(lane, |l| l.empty.is_some_and(|at| at.elapsed() < MEMORY))
    }
    /// Forgets the lanes in which this batch activates jobs.
    pub(super) fn note(&self, batch: &Batch) {
        for op in &batch.ops {
            match op {
                Op::Exec { binds, .. } => {
                    if let Some((_, Value::Int(lane))) = binds.iter().find(|(name, _)| *name == "ready") {
                        self.forget(LaneId(*lane));
                    }
                }
                Op::Insert { stmt, rows } if stmt.table == "job" => {
                    let Some(column) = stmt.columns.iter().position(|(name, _)| *name == "ready_lane") else { continue };
                    let mut last = None;
                    for row in rows {
                        if let Some(Value::Int(lane)) = row.get(column)
                            && last.replace(*lane) != Some(*lane)
                        {
                            self.forget(LaneId(*lane));
                        }
                    }
                }
                Op::Insert { .. } => {}
            }
        }
    }
}

/// Claims up to `claim.n` jobs.
pub(super) async fn claim<B: Takes>(backend: &Arc<B>, lanes: &Arc<Lanes>, claim: Claim) -> Result<Vec<Claimed>, Error> {
    let want = claim.n.max(1) as usize;
    let claim = Arc::new(claim);
    let mut out = vec![];
    if claim.task_id.is_none() && claim.person_id.is_none() {
        for lane in &claim.lanes {
            if lanes.seems_empty(*lane) {
                continue;
            }
            match combined(backend, lanes, &claim, *lane, want - out.len()).await {
                Ok(taken) => out.extend(taken),
                // What is taken already must reach the caller.
                Err(e) if out.is_empty() => return Err(e),
                Err(_) => break,
            }
            if out.len() >= want {
                break;
            }
        }
        if !out.is_empty() {
            return Ok(out);
        }
    }
    // Before "no jobs" is answered everything is read again, without what is remembered.
    for lane in filled(backend, &claim).await? {
        let taken = by_scan(backend, &claim, lane).await?;
        if !taken.is_empty() {
            lanes.forget(lane);
            return Ok(taken);
        }
    }
    Ok(vec![])
}

/// The claim's lanes that hold a job, in the claim's order.
async fn filled<B: Takes>(backend: &Arc<B>, claim: &Claim) -> Result<Vec<LaneId>, Error> {
    if claim.task_id.is_some() || claim.lanes.len() < 2 {
        return Ok(claim.lanes.clone());
    }
    let mut found = vec![];
    for part in claim.lanes.chunks(crate::MAX_IN_LIST) {
        let ids: Vec<i64> = part.iter().map(|l| l.0).collect();
        for row in backend.read(&texts::LANES, vec![("lanes", ids.into())]).await? {
            found.push(LaneId(row.int(0)?));
        }
    }
    Ok(claim.lanes.iter().copied().filter(|l| found.contains(l)).collect())
}

/// The order for one caller's own limits.
fn order(claim: &Claim, lane: LaneId, from: From, hosts: Vec<Option<String>>) -> Order {
    Order {
        lane,
        from,
        hosts,
        max_ram_mb: claim.max_ram_mb.unwrap_or(i64::MAX),
        max_disk_mb: claim.max_disk_mb.unwrap_or(i64::MAX),
        max_walltime_s: claim.max_walltime_s.unwrap_or(i64::MAX),
        now_us: claim.now_us,
    }
}

/// Reads the lane page by page and takes what fits.
async fn by_scan<B: Takes>(backend: &Arc<B>, claim: &Arc<Claim>, lane: LaneId) -> Result<Vec<Claimed>, Error> {
    let want = claim.n.max(1) as usize;
    for round in 0..ROUNDS {
        let (mut key, mut candidates) = (scan::START, false);
        loop {
            let (stmt, binds) = scan::page(claim, lane, key);
            let mut page = scan::read(claim, &backend.read(stmt, binds).await?)?;
            if !page.ids.is_empty() {
                candidates = true;
                let wait = round > 0;
                if wait {
                    page.ids.truncate(want);
                }
                let order = order(claim, lane, From::Ids { ids: page.ids, wait }, vec![claim.host.clone(); want]);
                // Runs to its end although the caller may go away: the connection must not be left inside a transaction.
                let own = Arc::clone(backend);
                let taken = tokio::spawn(async move { own.take(order).await }).await.map_err(|_| Error::Closed)??;
                if !taken.is_empty() {
                    return Ok(taken.into_iter().map(|(_, job)| job).collect());
                }
            }
            match page.next {
                Some(next) => key = next,
                None => break,
            }
        }
        if !candidates {
            break;
        }
    }
    Ok(vec![])
}

/// Joins the callers of one lane.
async fn combined<B: Takes>(
    backend: &Arc<B>,
    lanes: &Arc<Lanes>,
    claim: &Arc<Claim>,
    lane: LaneId,
    n: usize,
) -> Result<Vec<Claimed>, Error> {
    let (reply, answer) = oneshot::channel();
    let lead = lanes.with(lane, |l| {
        l.waiting.push(Waiter { claim: Arc::clone(claim), n, reply });
        !std::mem::replace(&mut l.busy, true)
    });
    if lead {
        // Its own task: a caller that goes away must not take the others' answers with it.
        tokio::spawn(serve(Arc::clone(backend), Arc::clone(lanes), lane));
    }
    answer.await.unwrap_or(Err(Error::Closed))
}

/// Serves the waiters of a lane until there are none.
async fn serve<B: Takes>(backend: Arc<B>, lanes: Arc<Lanes>, lane: LaneId) {
    loop {
        let group = lanes.with(lane, |l| {
            l.waiting.retain(|w| !w.reply.is_closed());
            let (mut rows, mut count) = (0, 0);
            for waiter in &l.waiting {
                rows += waiter.n;
                count += 1;
                if rows >= MAX_ROWS {
                    break;
                }
            }
            let group: Vec<Waiter> = l.waiting.drain(..count).collect();
            l.busy = !group.is_empty();
            if l.since.elapsed() > MEMORY {
                (l.place, l.since) = (scan::START, Instant::now());
            }
            (group, l.place)
        });
        if group.0.is_empty() {
            return;
        }
        let (waiters, place) = group;
        let taken = take_for(&backend, &lanes, lane, &waiters, place).await;
        match taken {
            Ok(parts) => {
                for (waiter, part) in waiters.into_iter().zip(parts) {
                    let _ = waiter.reply.send(Ok(part));
                }
            }
            Err(e) => {
                for waiter in waiters {
                    let _ = waiter.reply.send(Err(e.clone()));
                }
            }
        }
    }
}

/// One claim for all waiters (two when the remembered place hid rows), within the tightest of their limits; whoever gets nothing looks for
/// himself.
async fn take_for<B: Takes>(
    backend: &Arc<B>,
    lanes: &Lanes,
    lane: LaneId,
    waiters: &[Waiter],
    place: Key,
) -> Result<Vec<Vec<Claimed>>, Error> {
    let mut parts: Vec<Vec<Claimed>> = waiters.iter().map(|_| vec![]).collect();
    let mut from = place;
    loop {
        let mut slots = vec![];
        for (i, waiter) in waiters.iter().enumerate() {
            slots.extend(std::iter::repeat_n(i, (waiter.n - parts[i].len()).min(MAX_ROWS)));
        }
        slots.truncate(MAX_ROWS);
        let tightest = |limit: fn(&Claim) -> Option<i64>| waiters.iter().filter_map(|w| limit(&w.claim)).min().unwrap_or(i64::MAX);
        let order = Order {
            lane,
            from: From::Key(from),
            hosts: slots.iter().map(|i| waiters[*i].claim.host.clone()).collect(),
            max_ram_mb: tightest(|c| c.max_ram_mb),
            max_disk_mb: tightest(|c| c.max_disk_mb),
            max_walltime_s: tightest(|c| c.max_walltime_s),
            now_us: waiters.iter().map(|w| w.claim.now_us).max().unwrap_or_default(),
        };
        let taken = match backend.take(order).await {
            Ok(taken) => taken,
            Err(_) if parts.iter().any(|p| !p.is_empty()) => return Ok(parts),
            Err(e) => return Err(e),
        };
        let all = taken.len() == slots.len();
        let end = taken.iter().map(|(_, job)| (-job.priority, job.job_id.0)).max();
        let none = taken.is_empty();
        for (slot, job) in taken {
            if let Some(waiter) = slots.get(slot) {
                parts[*waiter].push(job);
            }
        }
        lanes.with(lane, |l| match end {
            // Only when every row fitted: a row left behind must stay in sight of the next asker.
            Some(end) if all => l.place = end,
            None if from == scan::START => l.empty = Some(Instant::now()),
            _ => {}
        });
        if all || from == scan::START {
            return Ok(parts);
        }
        lanes.with(lane, |l| (l.place, l.since) = (scan::START, Instant::now()));
        from = scan::START;
        let _ = none;
    }
}

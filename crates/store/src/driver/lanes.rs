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

/// A taken job: which order and which of its slots (both from 0) it fills.
pub(super) struct Taken {
    pub(super) order: usize,
    pub(super) slot: usize,
    pub(super) job: Claimed,
}

/// A backend that can take jobs.
pub(super) trait Takes: Send + Sync + 'static {
    /// How many claims at a time serve the waiters of all lanes together; None: one a lane serves the waiters of that lane. Where a
    /// transaction costs much more than a row of it the first is better, else the second.
    const ACROSS: Option<usize>;
    /// Takes rows for orders of different lanes in one transaction: state, event, documents.
    fn take(&self, orders: Vec<Order>) -> BoxFuture<'_, Result<Vec<Taken>, Error>>;
    /// Runs one SELECT.
    fn read(&self, stmt: &'static Stmt, binds: Binds) -> BoxFuture<'_, Result<Vec<Row>, Error>>;
}

struct Waiter {
    lane: LaneId,
    claim: Arc<Claim>,
    n: usize,
    reply: oneshot::Sender<Result<Vec<Claimed>, Error>>,
}

#[derive(Default)]
struct Queue {
    /// Claims under way.
    busy: usize,
    waiting: Vec<Waiter>,
}

#[derive(Clone, Copy)]
struct Memory {
    /// Where the last claim ended, so that index entries of taken jobs that are dead but not yet removed are not walked over.
    place: Key,
    /// When `place` was at the start of the lane.
    since: Instant,
    /// When the lane was found empty.
    empty: Option<Instant>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { place: scan::START, since: Instant::now(), empty: None }
    }
}

/// Waiters, and what is remembered of the lanes. Losing the latter costs time, never correctness.
#[derive(Default)]
pub(super) struct Lanes {
    queues: Mutex<HashMap<Option<LaneId>, Queue>>,
    memory: Mutex<HashMap<LaneId, Memory>>,
}

impl Lanes {
    fn with<T>(&self, lane: LaneId, f: impl FnOnce(&mut Memory) -> T) -> T {
        f(self.memory.lock().entry(lane).or_default())
    }
    fn forget(&self, lane: LaneId) {
        self.memory.lock().remove(&lane);
    }
    fn seems_empty(&self, lane: LaneId) -> bool {
        self.with(lane, |m| m.empty.is_some_and(|at| at.elapsed() < MEMORY))
    }
    /// Where a claim of this lane starts.
    fn place(&self, lane: LaneId) -> Key {
        self.with(lane, |m| {
            if m.since.elapsed() > MEMORY {
                (m.place, m.since) = (scan::START, Instant::now());
            }
            m.place
        })
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
    /// The next waiters of a queue, at most [`MAX_ROWS`] rows; none ends the claim that asks.
    fn next(&self, key: Option<LaneId>) -> Vec<Waiter> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(key).or_default();
        queue.waiting.retain(|w| !w.reply.is_closed());
        let (mut rows, mut count) = (0, 0);
        for waiter in &queue.waiting {
            rows += waiter.n;
            count += 1;
            if rows >= MAX_ROWS {
                break;
            }
        }
        if count == 0 {
            queue.busy -= 1;
        }
        queue.waiting.drain(..count).collect()
    }
}

/// Claims up to `claim.n` jobs.
pub(super) async fn claim<B: Takes>(backend: &Arc<B>, lanes: &Arc<Lanes>, claim: Claim) -> Result<Vec<Claimed>, Error> {
    let want = claim.n.max(1) as usize;
    let claim = Arc::new(claim);
    if !claim.ids.is_empty() {
        let Some(lane) = claim.lanes.first().copied() else { return Ok(vec![]) };
        let order = order(&claim, lane, From::Ids { ids: claim.ids.clone(), wait: false }, vec![claim.host.clone(); want]);
        let own = Arc::clone(backend);
        let taken = tokio::spawn(async move { own.take(vec![order]).await }).await.map_err(|_| Error::Closed)??;
        return Ok(taken.into_iter().map(|t| t.job).collect());
    }
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
                let taken = tokio::spawn(async move { own.take(vec![order]).await }).await.map_err(|_| Error::Closed)??;
                if !taken.is_empty() {
                    return Ok(taken.into_iter().map(|t| t.job).collect());
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

/// Joins callers: goes straight when nobody is under way, waits for the next claim otherwise.
async fn combined<B: Takes>(
    backend: &Arc<B>,
    lanes: &Arc<Lanes>,
    claim: &Arc<Claim>,
    lane: LaneId,
    n: usize,
) -> Result<Vec<Claimed>, Error> {
    let (reply, answer) = oneshot::channel();
    let key = if B::ACROSS.is_some() { None } else { Some(lane) };
    let lead = {
        let mut queues = lanes.queues.lock();
        let queue = queues.entry(key).or_default();
        queue.waiting.push(Waiter { lane, claim: Arc::clone(claim), n, reply });
        let lead = queue.busy < B::ACROSS.unwrap_or(1);
        queue.busy += usize::from(lead);
        lead
    };
    if lead {
        // Its own task: a caller that goes away must not take the others' answers with it.
        tokio::spawn(serve(Arc::clone(backend), Arc::clone(lanes), key));
    }
    answer.await.unwrap_or(Err(Error::Closed))
}

/// Serves the waiters of a queue until there are none.
async fn serve<B: Takes>(backend: Arc<B>, lanes: Arc<Lanes>, key: Option<LaneId>) {
    loop {
        let waiters = lanes.next(key);
        if waiters.is_empty() {
            return;
        }
        match take_for(&backend, &lanes, &waiters).await {
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

/// The order of one lane for its waiters, within the tightest of their limits (whoever gets nothing looks for himself), and whose each slot is.
fn joint(lane: LaneId, from: Key, waiters: &[Waiter], parts: &[Vec<Claimed>]) -> (Order, Vec<usize>) {
    let mine = || waiters.iter().enumerate().filter(|(_, w)| w.lane == lane);
    let mut slots = vec![];
    for (i, waiter) in mine() {
        slots.extend(std::iter::repeat_n(i, waiter.n.saturating_sub(parts[i].len()).min(MAX_ROWS)));
    }
    slots.truncate(MAX_ROWS);
    let tightest = |limit: fn(&Claim) -> Option<i64>| mine().filter_map(|(_, w)| limit(&w.claim)).min().unwrap_or(i64::MAX);
    let order = Order {
        lane,
        from: From::Key(from),
        hosts: slots.iter().map(|i| waiters[*i].claim.host.clone()).collect(),
        max_ram_mb: tightest(|c| c.max_ram_mb),
        max_disk_mb: tightest(|c| c.max_disk_mb),
        max_walltime_s: tightest(|c| c.max_walltime_s),
        now_us: mine().map(|(_, w)| w.claim.now_us).max().unwrap_or_default(),
    };
    (order, slots)
}

/// One claim for all waiters; a second one for lanes whose remembered place hid rows.
async fn take_for<B: Takes>(backend: &Arc<B>, lanes: &Lanes, waiters: &[Waiter]) -> Result<Vec<Vec<Claimed>>, Error> {
    let mut parts: Vec<Vec<Claimed>> = waiters.iter().map(|_| vec![]).collect();
    let mut open: Vec<(LaneId, Key)> = vec![];
    for waiter in waiters {
        if !open.iter().any(|(lane, _)| *lane == waiter.lane) {
            open.push((waiter.lane, lanes.place(waiter.lane)));
        }
    }
    while !open.is_empty() {
        let joined: Vec<(Order, Vec<usize>)> = open.iter().map(|(lane, from)| joint(*lane, *from, waiters, &parts)).collect();
        let taken = match backend.take(joined.iter().map(|(order, _)| order.clone()).collect()).await {
            Ok(taken) => taken,
            // What is taken already must reach its callers.
            Err(_) if parts.iter().any(|p| !p.is_empty()) => return Ok(parts),
            Err(e) => return Err(e),
        };
        let mut ends: Vec<(usize, Option<Key>)> = vec![(0, None); joined.len()];
        for t in taken {
            let Some((_, slots)) = joined.get(t.order) else { continue };
            let end = &mut ends[t.order];
            *end = (end.0 + 1, end.1.max(Some((-t.job.priority, t.job.job_id.0))));
            if let Some(waiter) = slots.get(t.slot) {
                parts[*waiter].push(t.job);
            }
        }
        let mut again = vec![];
        for (((_, slots), (n, end)), (lane, from)) in joined.iter().zip(ends).zip(open) {
            let all = n == slots.len();
            lanes.with(lane, |m| match end {
                // Only when every row fitted: a row left behind must stay in sight of the next asker.
                Some(end) if all => m.place = end,
                None if from == scan::START => m.empty = Some(Instant::now()),
                _ => {}
            });
            if !all && from != scan::START {
                lanes.with(lane, |m| (m.place, m.since) = (scan::START, Instant::now()));
                again.push((lane, scan::START));
            }
        }
        open = again;
    }
    Ok(parts)
}

//! Queues, storage endpoints and dispatch lanes, cached and reread.

pub mod change;
pub mod facts;
pub mod workers;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use panda_core::{
    id::{LaneId, QueueId},
    policy::{
        broker::{Link, Storages},
        label,
    },
    queue::Queue,
};
use panda_store::{
    Batch, IdKind,
    query::{
        hold::{self, HoldRow},
        queue::{self, LaneRow, QueueRow, RseRow},
    },
};

use crate::{Ops, OpsError, endpoint};

/// How old the cache may be before it is reread; a change by another process shows after this time.
const MAX_AGE_US: i64 = 1_000_000;

/// Memory step of a lane, MB: jobs of one step share a lane, so an asker's limit falls between two lanes or within one.
pub const RAM_STEP_MB: i64 = 1_000;

/// Queues, storage endpoints and lanes at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    read_us: i64,
    /// By name.
    pub by_name: HashMap<String, Arc<QueueRow>>,
    /// By row.
    pub by_id: HashMap<QueueId, Arc<QueueRow>>,
    /// Storage endpoints by row.
    pub rses: HashMap<i64, Arc<RseRow>>,
    /// Holds of the server, of queues and of machines.
    pub holds: Vec<Arc<HoldRow>>,
    /// Lanes by queue.
    pub lanes: HashMap<QueueId, Vec<Arc<LaneRow>>>,
    lane_by_id: HashMap<LaneId, Arc<LaneRow>>,
    /// Queues as the broker sees them, by name, in order.
    pub facts: Vec<Arc<Queue>>,
    /// Storage endpoints and ways as the broker sees them.
    pub storages: Arc<Storages>,
}

impl Snapshot {
    /// The lane of this number.
    #[must_use]
    pub fn lane(&self, id: LaneId) -> Option<&LaneRow> {
        self.lane_by_id.get(&id).map(AsRef::as_ref)
    }
    /// A queue as the broker sees it.
    #[must_use]
    pub fn fact(&self, id: QueueId) -> Option<&Arc<Queue>> {
        let name = self.by_id.get(&id)?.name.as_str();
        self.facts.binary_search_by(|f| f.name.as_str().cmp(name)).ok().map(|at| &self.facts[at])
    }
    /// Power of a queue's cores, thousandths (`corepower` of its document, [`POWER`] when it says nothing).
    #[must_use]
    pub fn power(&self, id: QueueId) -> i64 {
        self.fact(id).map(|q| q.core_power_milli).filter(|p| *p > 0).unwrap_or(POWER)
    }
    /// Queues by name, in order.
    #[must_use]
    pub fn sorted(&self) -> Vec<Arc<QueueRow>> {
        let mut all: Vec<_> = self.by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// The cache.
#[derive(Debug, Default)]
pub struct Queues {
    now: ArcSwap<Snapshot>,
    reading: tokio::sync::Mutex<()>,
}

/// Power of a core of a queue that does not say, thousandths (`spec/engine.md` section 20.4: corepower default 10).
pub const POWER: i64 = 10_000;

/// What decides a job's lane.
#[derive(Debug, Clone, Copy)]
pub struct LaneOf<'a> {
    /// The queue.
    pub queue: QueueId,
    /// VO.
    pub vo: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// Share.
    pub share: &'a str,
    /// Resource type.
    pub resource_type: &'a str,
    /// Memory of the job, MB.
    pub ram_mb: i64,
}

/// The memory step of a job.
#[must_use]
pub fn ram_step(ram_mb: i64) -> i64 {
    if ram_mb <= 0 { 0 } else { (ram_mb + RAM_STEP_MB - 1) / RAM_STEP_MB * RAM_STEP_MB }
}

impl Ops {
    /// Queues, storage endpoints and lanes, at most a second old.
    pub async fn queues(&self) -> Result<Arc<Snapshot>, OpsError> {
        let now = self.now().0;
        let held = self.queues.now.load_full();
        if held.read_us != 0 && now - held.read_us < MAX_AGE_US {
            return Ok(held);
        }
        if held.read_us == 0 {
            let _guard = self.queues.reading.lock().await;
            let again = self.queues.now.load_full();
            if again.read_us != 0 {
                return Ok(again);
            }
            return self.reread_queues().await;
        }
        // One caller rereads, the others go on with what is there.
        match self.queues.reading.try_lock() {
            Ok(_guard) => self.reread_queues().await,
            Err(_) => Ok(held),
        }
    }
    /// Rereads at once, after a change of our own.
    pub async fn queues_changed(&self) -> Result<Arc<Snapshot>, OpsError> {
        let _guard = self.queues.reading.lock().await;
        self.reread_queues().await
    }
    async fn reread_queues(&self) -> Result<Arc<Snapshot>, OpsError> {
        let mut next = Snapshot { read_us: self.now().0, ..Snapshot::default() };
        next.holds = hold::list(&self.store).await?.into_iter().map(Arc::new).collect();
        for rse in queue::rses(&self.store).await? {
            next.rses.insert(rse.id, Arc::new(rse));
        }
        for q in queue::list(&self.store).await? {
            let q = Arc::new(q);
            next.by_name.insert(q.name.clone(), q.clone());
            next.by_id.insert(q.id, q);
        }
        // All of them each time: ids are taken beforehand and commit out of order, so "above the last one seen" would miss some.
        let mut after = LaneId(0);
        loop {
            let lanes = queue::lanes(&self.store, after).await?;
            let Some(last) = lanes.last() else { break };
            after = last.id;
            for lane in lanes {
                let lane = Arc::new(lane);
                next.lane_by_id.insert(lane.id, lane.clone());
                next.lanes.entry(lane.queue_id).or_default().push(lane);
            }
        }
        self.read_facts(&mut next).await?;
        let next = Arc::new(next);
        self.queues.now.store(next.clone());
        Ok(next)
    }
    /// What the broker works with; a queue that has not changed is not read again.
    async fn read_facts(&self, next: &mut Snapshot) -> Result<(), OpsError> {
        let held = self.queues.now.load_full();
        let mut storages = Storages::default();
        for rse in next.rses.values() {
            storages.endpoints.insert(rse.name.clone(), endpoint::read(rse));
        }
        for l in queue::links(&self.store).await? {
            storages.link(&l.src, &l.dst, Link { cost: l.cost, mbps: l.mbps, queued: l.queued });
        }
        for row in next.sorted() {
            let storage = next.rses.get(&row.rse_id).map(|r| r.name.as_str());
            let same = held.by_id.get(&row.id).is_some_and(|old| old.rev == row.rev);
            let known = held.facts.binary_search_by(|q| q.name.as_str().cmp(&row.name)).ok().map(|at| &held.facts[at]);
            let fact = match known.filter(|q| same && q.storage.as_deref() == storage) {
                Some(q) => q.clone(),
                None => {
                    let (queue, problems) = facts::read(&row, storage);
                    for problem in problems {
                        tracing::warn!("queue {}: {problem}; it counts as not stated", row.name);
                    }
                    Arc::new(queue)
                }
            };
            let hold = next.kept_from(row.id).map(|h| h.reason.clone());
            let fact = if fact.hold == hold { fact } else { Arc::new(Queue { hold, ..Queue::clone(&fact) }) };
            next.facts.push(fact);
        }
        next.storages = Arc::new(storages);
        Ok(())
    }
    /// The queue of this name; None when there is none.
    pub async fn queue(&self, name: &str) -> Result<Option<Arc<QueueRow>>, OpsError> {
        Ok(self.queues().await?.by_name.get(name).cloned())
    }
    /// The lane for jobs of these properties, made when it is new.
    pub async fn lane(&self, of: &LaneOf<'_>) -> Result<LaneId, OpsError> {
        let settings = self.settings().await?;
        let lane = LaneRow {
            id: LaneId(0),
            queue_id: of.queue,
            vo: of.vo.to_owned(),
            resource_type: of.resource_type.to_owned(),
            label: label::class(&settings, of.vo, of.label).to_owned(),
            share: of.share.to_owned(),
            ram_step: ram_step(of.ram_mb),
        };
        self.lane_like(lane).await
    }
    /// The lane with all these properties but the id, made when it is new.
    pub async fn lane_like(&self, lane: LaneRow) -> Result<LaneId, OpsError> {
        let find = |s: &Snapshot| {
            let same = |l: &&Arc<LaneRow>| {
                (&l.vo, &l.resource_type, &l.label, &l.share, l.ram_step)
                    == (&lane.vo, &lane.resource_type, &lane.label, &lane.share, lane.ram_step)
            };
            s.lanes.get(&lane.queue_id)?.iter().find(same).map(|l| l.id)
        };
        if let Some(id) = find(&*self.queues().await?) {
            return Ok(id);
        }
        let lane = LaneRow { id: LaneId(self.store.id(IdKind::Row).await?), ..lane.clone() };
        let mut batch = Batch::new();
        queue::add_lane(&mut batch, &lane);
        match self.store.apply(batch).await {
            Ok(()) => {}
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
        find(&*self.queues_changed().await?).ok_or_else(|| OpsError::Internal(format!("the lane of queue {} was not found", lane.queue_id)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::Arc;

    use panda_core::policy::share::UNDEFINED;

    use super::LaneOf;
    use crate::testing::World;

    /// Lanes of many queues made at the same time: their ids commit in any order, and every caller finds its own.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn lanes_made_at_the_same_time_are_all_found() {
        let w = Arc::new(World::new().await);
        let mut queues = Vec::new();
        for n in 0..12 {
            queues.push(w.queue(&format!("Q{n}")).await);
        }
        let mut tasks = Vec::new();
        for round in 0..4 {
            for q in &queues {
                let (w, q) = (w.clone(), *q);
                tasks.push(tokio::spawn(async move {
                    let of =
                        LaneOf { queue: q, vo: "amber", label: "user", share: UNDEFINED, resource_type: "SCORE", ram_mb: 1_000 * round };
                    w.ops.lane(&of).await
                }));
            }
        }
        for t in tasks {
            t.await.unwrap().unwrap();
        }
        assert_eq!(w.ops.queues().await.unwrap().lanes.values().map(Vec::len).sum::<usize>(), 48);
    }
}

//! The order in which lanes of a queue are tried: shares by what they are due, within a share by the best job.

use std::collections::{BTreeSet, HashMap, VecDeque};

use panda_core::{
    id::{LaneId, QueueId},
    policy::{
        load::Load,
        share::{
            Tree,
            account::{Account, Leaf, Used},
        },
    },
    setting::{
        ANY,
        dispatch::{AGE_PERCENT, SHARE_FIRST},
    },
    time::Micros,
};
use panda_store::{
    Batch, Key,
    query::{job, queue::LaneRow, snapshot},
};

use crate::{
    Ops, OpsError,
    queue::{POWER, Snapshot},
    statistics,
};

/// Kind of the snapshots by which processes tell that they hand out jobs.
const SERVER: &str = "dispatching";
/// How often a process tells it, and looks for others, microseconds.
const TELL_EVERY_US: i64 = 10_000_000;
/// Stands for all queues where the account asks for one; no queue has this number.
const EVERY_QUEUE: i64 = 0;
/// A process that has not told it for this long is gone.
const GONE_US: i64 = 3 * TELL_EVERY_US;

/// The account of this process.
#[derive(Debug, Default)]
pub struct Board {
    account: Account,
    /// The tree that it is of; None = none yet.
    revision: Option<i64>,
    first: String,
    /// Leaves of lanes.
    leaves: HashMap<LaneId, Leaf>,
    /// When the counts it knows were made.
    counted: Micros,
    told_us: i64,
    /// The oldest jobs of lanes, for dispatch by age, and when they were read.
    oldest: HashMap<LaneId, (VecDeque<i64>, i64)>,
}

/// A dispatch under way.
#[derive(Debug)]
pub struct Turn {
    queue: QueueId,
    /// Lanes to try, in order.
    pub lanes: Vec<LaneId>,
    /// Whether this one goes by age.
    pub by_age: bool,
    leaves: Vec<Leaf>,
    /// Whose job is expected: charged already, so that others who ask at the same moment go on to the next share.
    expected: Option<Leaf>,
}

impl Board {
    fn leaf(&mut self, lane: &LaneRow) -> Leaf {
        if let Some(leaf) = self.leaves.get(&lane.id) {
            return *leaf;
        }
        let leaf = self.account.leaf(&lane.share, &lane.vo);
        self.leaves.insert(lane.id, leaf);
        leaf
    }
    fn settle(&mut self, tree: &Tree, revision: i64, first: &str) {
        if self.revision == Some(revision) && self.first == first {
            return;
        }
        let names: Vec<String> = first.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
        self.account = if self.revision.is_some() { self.account.moved_to(tree, &names) } else { Account::new(tree, &names) };
        (self.revision, self.first) = (Some(revision), first.to_owned());
        self.leaves.clear();
    }
}

/// Brings the account up to date with the tree and the published counts.
async fn count(ops: &Ops, queues: &Snapshot) -> Result<(), OpsError> {
    let now = ops.now();
    let held = ops.shares().await?;
    let settings = ops.settings().await?;
    let load = statistics::published(ops).await?;
    let mut board = ops.shares.board.lock();
    board.settle(&held.tree, held.revision, settings.text(&SHARE_FIRST, ANY, ANY));
    if load.at > board.counted {
        let mut counts: std::collections::BTreeMap<(&str, &str), (i64, bool)> = std::collections::BTreeMap::new();
        for (queue, at) in load.queues() {
            let power = queues.power(queue);
            for ((share, vo), counted) in &at.by_share_vo {
                let sum = counts.entry((share, vo)).or_default();
                *sum = (sum.0 + counted.running_cores() * power / POWER, sum.1 || counted.activated() > 0);
            }
        }
        let used: Vec<Used<'_>> = counts.into_iter().map(|((share, vo), (weight, queued))| Used { share, vo, weight, queued }).collect();
        board.account.publish(now, load.at, &used);
        board.counted = load.at;
    }
    Ok(())
}

/// The same for a process that hands out jobs: it tells so, and hears how many others do.
async fn refresh(ops: &Ops, queues: &Snapshot) -> Result<(), OpsError> {
    count(ops, queues).await?;
    let now = ops.now();
    let tell = {
        let mut board = ops.shares.board.lock();
        let tell = !(0..TELL_EVERY_US).contains(&(now.0 - board.told_us));
        if tell {
            board.told_us = now.0;
        }
        tell
    };
    if tell {
        let mut batch = Batch::new();
        snapshot::set(&mut batch, &format!("{SERVER}:{}", ops.process), now.0, "{}");
        let others = snapshot::kind(&ops.store, SERVER).await?;
        for (name, _) in others.iter().filter(|(name, at)| *name != ops.process && now.0 - at > GONE_US) {
            snapshot::delete(&mut batch, &format!("{SERVER}:{name}"));
        }
        let live = others.iter().filter(|(name, at)| *name != ops.process && now.0 - at <= GONE_US).count();
        ops.store.apply(batch).await?;
        ops.shares.board.lock().account.among(1 + i64::try_from(live).unwrap_or(0));
    }
    Ok(())
}

/// The order of lanes that hold jobs, each with the key of its best one. `lanes`: every lane that the asker may take from.
pub async fn rank(ops: &Ops, queue: QueueId, lanes: &[&LaneRow], heads: &[(LaneId, Key)]) -> Result<Turn, OpsError> {
    sorted(ops, queue, lanes, heads, true).await
}

/// The same order, to look at: no dispatch follows.
pub async fn peek(ops: &Ops, queue: QueueId, lanes: &[&LaneRow], heads: &[(LaneId, Key)]) -> Result<Vec<LaneId>, OpsError> {
    Ok(sorted(ops, queue, lanes, heads, false).await?.lanes)
}

async fn sorted(ops: &Ops, queue: QueueId, lanes: &[&LaneRow], heads: &[(LaneId, Key)], charge: bool) -> Result<Turn, OpsError> {
    refresh(ops, &*ops.queues().await?).await?;
    let age = u32::try_from(ops.settings().await?.int(&AGE_PERCENT, ANY, ANY)).unwrap_or(0);
    let now = ops.now();
    let mut board = ops.shares.board.lock();
    let mut full: Vec<(Leaf, Key, LaneId)> = Vec::with_capacity(heads.len());
    for (id, key) in heads {
        if let Some(lane) = lanes.iter().find(|l| l.id == *id) {
            full.push((board.leaf(lane), *key, *id));
        }
    }
    full.sort_unstable();
    let mut leaves: Vec<Leaf> = full.iter().map(|(leaf, ..)| *leaf).collect();
    leaves.dedup();
    let order = board.account.rank(now, queue.0, &leaves);
    full.sort_by_cached_key(|(leaf, key, _)| (order.iter().position(|l| l == leaf), *key));
    let by_age = charge && board.account.by_age(age);
    let expected = full.first().map(|(leaf, ..)| *leaf).filter(|_| charge);
    if let Some(leaf) = expected {
        board.account.dispatched(now, queue.0, &leaves, leaf, 1);
    }
    Ok(Turn { queue, lanes: full.into_iter().map(|(_, _, id)| id).collect(), by_age, leaves, expected })
}

/// Shares and VOs that hold jobs for a pilot, in the order in which they are due over all queues together. It is asked of a copy of the account:
/// looking changes nothing, and a process that hands out no jobs does not count as one that does.
pub async fn due(ops: &Ops, load: &Load) -> Result<Vec<(String, String)>, OpsError> {
    count(ops, &*ops.queues().await?).await?;
    let waiting = |(key, counts): (&(String, String), &panda_core::policy::load::Counts)| (counts.activated() > 0).then(|| key.clone());
    let names: BTreeSet<(String, String)> = load.queues().flat_map(|(_, at)| at.by_share_vo.iter().filter_map(waiting)).collect();
    let mut account = ops.shares.board.lock().account.clone();
    let mut named: Vec<(Leaf, (String, String))> = names.into_iter().map(|n| (account.leaf(&n.0, &n.1), n)).collect();
    let mut leaves: Vec<Leaf> = named.iter().map(|(leaf, _)| *leaf).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let order = account.rank(ops.now(), EVERY_QUEUE, &leaves);
    named.sort_by_key(|(leaf, _)| order.iter().position(|l| l == leaf));
    Ok(named.into_iter().map(|(_, name)| name).collect())
}

/// Oldest jobs of a lane that are kept: reading them reads the lane.
const OLDEST: i64 = 1_000;
/// How soon they are read again when they are used up, microseconds.
const OLDEST_EVERY_US: i64 = 1_000_000;
/// Candidates of one dispatch by age.
const CANDIDATES: usize = 20;

/// The lane of these that holds the oldest job, and its oldest ones.
pub async fn oldest(ops: &Ops, lanes: &[LaneId]) -> Result<Option<(LaneId, Vec<i64>)>, OpsError> {
    let now = ops.now().0;
    for lane in lanes {
        let due = {
            let board = ops.shares.board.lock();
            board.oldest.get(lane).is_none_or(|(ids, at)| ids.is_empty() && !(0..OLDEST_EVERY_US).contains(&(now - at)))
        };
        if due {
            let ids = job::list::oldest_ready(&ops.store, *lane, OLDEST).await?;
            ops.shares.board.lock().oldest.insert(*lane, (ids.into(), now));
        }
    }
    let board = ops.shares.board.lock();
    let best = lanes.iter().filter_map(|l| board.oldest.get(l).and_then(|(ids, _)| Some((*ids.front()?, *l)))).min();
    Ok(best.map(|(_, lane)| (lane, board.oldest[&lane].0.iter().take(CANDIDATES).copied().collect())))
}

/// Notes which of the oldest jobs of a lane were looked at for nothing or taken.
pub fn looked_at(ops: &Ops, lane: LaneId, ids: &[i64], taken: Option<i64>) {
    let mut board = ops.shares.board.lock();
    if let Some((held, _)) = board.oldest.get_mut(&lane) {
        // What stands before the taken one did not fit or was gone; without any all of them are.
        let upto = taken.or(ids.last().copied()).unwrap_or(i64::MIN);
        while held.front().is_some_and(|id| *id <= upto) {
            held.pop_front();
        }
    }
}

/// What came of a turn: lanes and cores of the jobs that were handed out.
pub fn done(ops: &Ops, turn: &Turn, queues: &Snapshot, jobs: &[(LaneId, i64)]) {
    let now = ops.now();
    let power = queues.power(turn.queue);
    let mut board = ops.shares.board.lock();
    if let Some(leaf) = turn.expected {
        board.account.ended(now, leaf, 1);
    }
    for (lane, cores) in jobs {
        if let Some(leaf) = board.leaves.get(lane).copied() {
            board.account.dispatched(now, turn.queue.0, &turn.leaves, leaf, (cores * power / POWER).max(1));
        }
    }
}

/// Notes that a job left its pilot, so that its share may have another one before jobs are counted again.
pub async fn ended(ops: &Ops, lane: Option<LaneId>, cores: i64) -> Result<(), OpsError> {
    let Some(lane) = lane else { return Ok(()) };
    let queues = ops.queues().await?;
    let Some(row) = queues.lane(lane) else { return Ok(()) };
    let weight = (cores * queues.power(row.queue_id) / POWER).max(1);
    let mut board = ops.shares.board.lock();
    if board.revision.is_some() {
        let leaf = board.leaf(row);
        board.account.ended(ops.now(), leaf, weight);
    }
    Ok(())
}

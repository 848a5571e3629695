//! The load that decisions are taken on: counted by one loop of the engine, published as one snapshot, read by every process, which adds
//! what it did itself since (docs/adr, "Dispatch": counts that are only stale break a share's target of 2%).

mod ended;

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{
    id::{LaneId, QueueId},
    job::state::JobState,
    policy::load::{Line, Load},
    time::Micros,
};
use panda_store::{
    Batch,
    query::{job::count, snapshot, worker},
};
use serde_json::{Value, json};

use crate::{Ops, OpsError, queue::Snapshot};

/// Name of the snapshot.
const NAME: &str = "load";
/// How often a process looks for a newer snapshot, microseconds.
const LOOK_EVERY_US: i64 = 1_000_000;
/// A snapshot older than this is not used: no engine counts, so the process counts for itself.
const STALE_US: i64 = 30_000_000;
/// How often a process that counts for itself does so.
const OWN_EVERY_US: i64 = 10_000_000;
/// Changes of this process that are older than this are in every snapshot that is used.
const KEEP_S: i64 = STALE_US / 1_000_000 * 2;

/// Jobs of one kind that this process moved or made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    lane: LaneId,
    person: i64,
    vo: String,
    label: String,
    state: JobState,
}

/// What this process knows of the load.
#[derive(Debug, Default)]
pub(crate) struct Held {
    load: Arc<Load>,
    /// As it was published.
    published: Arc<Load>,
    /// When it looked for a snapshot.
    looked_us: i64,
    /// Changes of the process: not yet in `load`, and those in it, by second.
    pending: BTreeMap<(i64, Key), (i64, i64)>,
    recent: BTreeMap<(i64, Key), (i64, i64)>,
}

/// The load as it is now as far as this process can tell: the published counts and its own changes since.
pub async fn load(ops: &Ops) -> Result<Arc<Load>, OpsError> {
    let now = ops.now().0;
    let queues = ops.queues().await?;
    let due = {
        let held = ops.live.load.lock();
        held.looked_us == 0 || !(0..LOOK_EVERY_US).contains(&(now - held.looked_us))
    };
    if due {
        refresh(ops, now, &queues).await?;
    }
    let mut held = ops.live.load.lock();
    held.settle(&queues);
    Ok(held.load.clone())
}

/// The counts as they were published, without what this process did since.
pub async fn published(ops: &Ops) -> Result<Arc<Load>, OpsError> {
    load(ops).await?;
    Ok(ops.live.load.lock().published.clone())
}

/// Jobs of a lane that were handed out by this process: `n` of `person` with `cores` altogether.
pub fn dispatched(ops: &Ops, lane: LaneId, person: i64, n: i64, cores: i64) {
    let key = |state| Key { lane, person, vo: String::new(), label: String::new(), state };
    let now = ops.now().0;
    let mut held = ops.live.load.lock();
    held.note(now, key(JobState::Activated), -n, -cores);
    held.note(now, key(JobState::Sent), n, cores);
}

/// Jobs that this process made in `state` in a lane.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// Lane.
    pub lane: LaneId,
    /// Owner's row id.
    pub person: i64,
    /// VO.
    pub vo: &'a str,
    /// `prodSourceLabel`.
    pub label: &'a str,
    /// State.
    pub state: JobState,
    /// How many.
    pub n: i64,
    /// Their cores altogether.
    pub cores: i64,
}

/// Notes jobs that this process made.
pub fn generated(ops: &Ops, made: &Made<'_>) {
    let key = Key { lane: made.lane, person: made.person, vo: made.vo.to_owned(), label: made.label.to_owned(), state: made.state };
    ops.live.load.lock().note(ops.now().0, key, made.n, made.cores);
}

impl Held {
    /// Notes a change at the time at which it happened: a count that is made later has it already.
    fn note(&mut self, now: i64, key: Key, n: i64, cores: i64) {
        let at = self.pending.entry((now / 1_000_000, key)).or_default();
        at.0 += n;
        at.1 += cores;
    }
    /// Puts pending changes into the load.
    fn settle(&mut self, queues: &Snapshot) {
        if self.pending.is_empty() {
            return;
        }
        let load = Arc::make_mut(&mut self.load);
        for ((second, key), (n, cores)) in std::mem::take(&mut self.pending) {
            apply(load, queues, &key, n, cores);
            if key.state == JobState::Sent
                && let Some(lane) = queues.lane(key.lane)
            {
                load.see_start(lane.queue_id, Micros(second * 1_000_000));
            }
            let at = self.recent.entry((second, key)).or_default();
            at.0 += n;
            at.1 += cores;
        }
    }
    /// Takes a newer count; what this process did after it is added again.
    fn replace(&mut self, mut load: Load, now: i64, queues: &Snapshot) {
        let from = (load.at.0 / 1_000_000).max(now / 1_000_000 - KEEP_S);
        self.recent.retain(|(second, _), _| *second >= from);
        self.published = Arc::new(load.clone());
        for ((_, key), (n, cores)) in &self.recent {
            apply(&mut load, queues, key, *n, *cores);
        }
        self.load = Arc::new(load);
    }
}

fn apply(load: &mut Load, queues: &Snapshot, key: &Key, n: i64, cores: i64) {
    let Some(lane) = queues.lane(key.lane) else { return };
    load.add(&Line {
        queue: Some(lane.queue_id),
        share: &lane.share,
        resource_type: &lane.resource_type,
        vo: &lane.vo,
        label: &key.label,
        person: key.person,
        state: key.state,
        n,
        cores,
    });
}

/// Looks for a newer snapshot; counts for itself when there is none.
async fn refresh(ops: &Ops, now: i64, queues: &Snapshot) -> Result<(), OpsError> {
    let _one = ops.live.loading.lock().await;
    let (held, looked) = {
        let held = ops.live.load.lock();
        (held.load.at.0, held.looked_us)
    };
    if looked != 0 && (0..LOOK_EVERY_US).contains(&(now - looked)) {
        return Ok(()); // Somebody else just did.
    }
    let published = snapshot::at(&ops.store, NAME).await?.filter(|at| now - at < STALE_US);
    let newer = match published {
        Some(at) if at != held => match snapshot::get(&ops.store, NAME).await? {
            Some((_, doc)) => Some(read(&doc)?),
            None => None,
        },
        Some(_) => None,
        None if held == 0 || now - held >= OWN_EVERY_US => Some(read(&document(ops, now, None).await?)?),
        None => None,
    };
    let mut held = ops.live.load.lock();
    held.looked_us = now;
    if let Some(load) = newer {
        held.settle(queues);
        held.replace(load, now, queues);
    }
    Ok(())
}

/// Counts and publishes; the engine's `count` loop runs this.
pub async fn publish(ops: &Ops) -> Result<(), OpsError> {
    let now = ops.now().0;
    let before = snapshot::get(&ops.store, NAME).await?.map(|(_, doc)| doc);
    let doc = document(ops, now, before.as_deref()).await?;
    let mut batch = Batch::new();
    snapshot::set(&mut batch, NAME, now, &doc);
    Ok(ops.store.apply(batch).await?)
}

/// The counts as JSON: `{"at", "lanes": [[queue, share, type, vo, label, state, n, cores]], "people": [[queue, person, state, n, cores]],
/// "ended_at", "ended_anew", "ended_from", "ended": [[queue, person, finished, failed]], "pilots": [[queue, at]], "starts": [[queue, at]]}`; a queue of 0 means none.
async fn document(ops: &Ops, now: i64, before: Option<&str>) -> Result<String, OpsError> {
    let counted = count::live(&ops.store).await?;
    if counted.len() >= count::MAX_LINES {
        tracing::warn!("more than {} kinds of jobs: the load is incomplete", count::MAX_LINES);
    }
    let mut queues = ops.queues().await?;
    if counted.iter().filter_map(|l| l.lane).any(|l| queues.lane(l).is_none()) {
        queues = ops.queues_changed().await?;
    }
    // By queue, share, resource type, VO, label and state.
    type Kind<'a> = (i64, [&'a str; 4], JobState);
    let mut lanes: BTreeMap<Kind<'_>, (i64, i64)> = BTreeMap::new();
    let mut people: BTreeMap<(i64, i64, JobState), (i64, i64)> = BTreeMap::new();
    for l in &counted {
        let lane = l.lane.and_then(|l| queues.lane(l));
        let (queue, share, kind) = lane.map_or((0, "", ""), |l| (l.queue_id.0, l.share.as_str(), l.resource_type.as_str()));
        let cores = l.n * l.core_count.max(1);
        let at = lanes.entry((queue, [share, kind, &l.vo, &l.label], l.state)).or_default();
        *at = (at.0 + l.n, at.1 + cores);
        let at = people.entry((queue, l.person, l.state)).or_default();
        *at = (at.0 + l.n, at.1 + cores);
    }
    let pairs = |rows: Vec<(i64, i64)>| rows.into_iter().map(|(q, at)| json!([q, at])).collect::<Vec<_>>();
    let noted = |rows: Vec<(String, i64)>| rows.into_iter().filter_map(|(q, at)| Some((q.parse().ok()?, at))).collect::<Vec<_>>();
    let mut pilots = noted(snapshot::kind(&ops.store, super::SEEN).await?);
    pilots.extend(worker::latest_all(&ops.store).await?.into_iter().map(|(q, at)| (q.0, at)));
    let starts = noted(snapshot::kind(&ops.store, super::STARTED).await?);
    let [ended, ended_at, ended_anew, ended_from] = ended::since(ops, now, before).await?;
    let doc = json!({
        "at": now,
        "lanes": lanes.into_iter().map(|((q, [s, t, vo, label], state), (n, c))| json!([q, s, t, vo, label, state.as_str(), n, c])).collect::<Vec<_>>(),
        "people": people.into_iter().map(|((q, p, state), (n, c))| json!([q, p, state.as_str(), n, c])).collect::<Vec<_>>(),
        "ended_at": ended_at, "ended_anew": ended_anew, "ended_from": ended_from, "ended": ended, "pilots": pairs(pilots), "starts": pairs(starts),
    });
    Ok(doc.to_string())
}

fn read(doc: &str) -> Result<Load, OpsError> {
    let wrong = |e: String| OpsError::Internal(format!("the published load: {e}"));
    let doc: Value = serde_json::from_str(doc).map_err(|e| wrong(e.to_string()))?;
    let mut load = Load::new(Micros(doc["at"].as_i64().unwrap_or(0)));
    let rows = |key: &str| doc[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let int = |row: &Value, i: usize| row[i].as_i64().unwrap_or(0);
    let queue = |row: &Value| Some(QueueId(int(row, 0))).filter(|q| q.0 != 0);
    let state = |row: &Value, i: usize| JobState::parse(row[i].as_str().unwrap_or_default()).map_err(|e| wrong(e.to_string()));
    let none = Line { queue: None, share: "", resource_type: "", vo: "", label: "", person: 0, state: JobState::Pending, n: 0, cores: 0 };
    for row in rows("lanes") {
        let text = |i: usize| row[i].as_str().unwrap_or_default();
        load.add(&Line {
            queue: queue(row),
            share: text(1),
            resource_type: text(2),
            vo: text(3),
            label: text(4),
            state: state(row, 5)?,
            n: int(row, 6),
            cores: int(row, 7),
            ..none
        });
    }
    for row in rows("people") {
        load.add_person(queue(row), int(row, 1), state(row, 2)?, int(row, 3), int(row, 4));
    }
    for row in rows("ended") {
        load.add_ended(QueueId(int(row, 0)), int(row, 1), int(row, 2), int(row, 3));
    }
    for row in rows("pilots") {
        load.see_pilot(QueueId(int(row, 0)), Micros(int(row, 1)));
    }
    for row in rows("starts") {
        load.see_start(QueueId(int(row, 0)), Micros(int(row, 1)));
    }
    Ok(load)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};

    async fn at(w: &World, queue: QueueId) -> (i64, i64) {
        let load = load(&w.ops).await.unwrap();
        let c = load.queue(queue).all;
        (c.activated(), c.running())
    }

    #[tokio::test]
    async fn what_a_process_does_itself_counts_at_once() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        w.job(&alice(), None, q, JobState::Activated).await;
        assert_eq!(at(&w, q).await, (1, 0), "nothing is published: it counts itself");
        let person = w.ops.person(&alice()).await.unwrap().id;
        let lane = w.job_row(w.job(&alice(), None, q, JobState::Activated).await).await.lane_id.unwrap();
        assert_eq!(at(&w, q).await, (1, 0), "others' jobs show with the next count");
        generated(&w.ops, &Made { lane, person, vo: "amber", label: "user", state: JobState::Activated, n: 3, cores: 3 });
        assert_eq!(at(&w, q).await, (4, 0));
        dispatched(&w.ops, lane, person, 2, 2);
        assert_eq!(at(&w, q).await, (2, 2));
        let seen = load(&w.ops).await.unwrap();
        assert_eq!((seen.share("Undefined").running(), seen.person(person).queued(), seen.vo("amber").queued()), (2, 2, 2));
        assert_eq!(seen.queue(q).last_start, Some(w.ops.now()));
    }

    #[tokio::test]
    async fn a_newer_count_takes_the_place_of_older_changes() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let lane = w.job_row(w.job(&alice(), None, q, JobState::Activated).await).await.lane_id.unwrap();
        publish(&w.ops).await.unwrap();
        assert_eq!(at(&w, q).await, (1, 0));
        // Noted but never stored: gone with the next count. Noted after the count: added to it.
        dispatched(&w.ops, lane, 1, 1, 1);
        assert_eq!(at(&w, q).await, (0, 1));
        w.pass(5);
        publish(&w.ops).await.unwrap();
        w.pass(2);
        dispatched(&w.ops, lane, 1, 1, 1);
        assert_eq!(at(&w, q).await, (0, 1));
        w.job(&alice(), None, q, JobState::Running).await;
        w.pass(2);
        assert_eq!(at(&w, q).await, (0, 1), "the snapshot is the same");
        publish(&w.ops).await.unwrap();
        w.pass(2);
        assert_eq!(at(&w, q).await, (1, 1));
        w.job(&alice(), None, q, JobState::Running).await;
        w.pass(60);
        assert_eq!(at(&w, q).await, (1, 2), "a snapshot that nobody renews is not used");
    }

    #[tokio::test]
    async fn pilots_starts_and_ends_are_told() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        w.job(&alice(), None, q, JobState::Failed).await;
        w.job(&bob(), None, q, JobState::Finished).await;
        crate::pilot::seen::note(&w.ops, q).await.unwrap();
        crate::pilot::seen::started(&w.ops, q).await.unwrap();
        publish(&w.ops).await.unwrap();
        let seen = load(&w.ops).await.unwrap();
        let at = seen.queue(q);
        assert_eq!((at.pilot_seen, at.last_start), (Some(w.ops.now()), Some(w.ops.now())));
        let (a, b) = (w.ops.person(&alice()).await.unwrap().id, w.ops.person(&bob()).await.unwrap().id);
        assert_eq!((at.ended[&a].failed, at.ended[&b].finished), (1, 1));
        w.pass(3_600);
        w.job(&alice(), None, q, JobState::Failed).await;
        publish(&w.ops).await.unwrap();
        let seen = load(&w.ops).await.unwrap();
        assert_eq!((seen.queue(q).ended[&a].failed, seen.queue(q).ended[&b].finished), (2, 1), "what came is added");
        // The window of six hours moves on in steps shorter than what is counted anew.
        for _ in 0..3 {
            w.pass(2 * 3_600 - 1_000);
            publish(&w.ops).await.unwrap();
        }
        let seen = load(&w.ops).await.unwrap();
        assert_eq!(seen.queue(q).ended.len(), 1, "bob's has left the window");
        assert_eq!(seen.queue(q).ended[&a].failed, 1, "of alice's the older has");
        w.pass(7 * 3_600);
        publish(&w.ops).await.unwrap();
        assert!(load(&w.ops).await.unwrap().queue(q).ended.is_empty(), "out of the window");
    }
}

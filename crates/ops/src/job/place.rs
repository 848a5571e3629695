//! Lets jobs go that no queue could take when they came.

use panda_core::{
    id::JobId,
    job::state::JobState,
    machine::Actor,
    policy::{
        broker::{Needs, Ram},
        share::Facts,
    },
};
use panda_store::{
    Batch,
    query::{
        decision,
        job::{self, JobRow},
        queue::{QueueRow, RseRow},
    },
};
use panda_wire::job_dict;
use serde_json::{Map, Value};

use crate::{
    Ops, OpsError,
    broker::{Broker, Place, record},
    json as text,
    queue::LaneOf,
    share,
    statistics::{self, Made},
};

/// Most jobs placed by one call; the next call goes on.
const MAX_PLACED: usize = 5_000;
/// Jobs read at a time.
const PAGE: i64 = 200;

/// Places jobs without a task that wait for a queue; the answer is how many were placed. Run when a queue comes online, and from time to time.
pub async fn waiting(ops: &Ops) -> Result<usize, OpsError> {
    let mut after = JobId(0);
    let (mut placed, mut seen) = (0, 0);
    let mut broker = None;
    while seen < MAX_PLACED {
        let page = job::list::unplaced(&ops.store, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        seen += page.len();
        let broker = match &mut broker {
            Some(broker) => broker,
            None => broker.insert(Broker::new(ops).await?),
        };
        for j in &page {
            placed += usize::from(one(ops, broker, j).await?);
        }
    }
    Ok(placed)
}

async fn one(ops: &Ops, broker: &mut Broker, j: &JobRow) -> Result<bool, OpsError> {
    put(ops, broker, j, None).await
}

/// Gives a waiting job without a task another queue than it has, on behalf of somebody; false when none takes it, or it changed meanwhile.
pub(super) async fn elsewhere(ops: &Ops, broker: &mut Broker, j: &JobRow, by: &str) -> Result<bool, OpsError> {
    put(ops, broker, j, Some(by)).await
}

/// Places a job that has no queue, or, when `by` somebody, one that has.
async fn put(ops: &Ops, broker: &mut Broker, j: &JobRow, by: Option<&str>) -> Result<bool, OpsError> {
    let Some((own, common)) = job::list::doc(&ops.store, j.id).await? else { return Ok(false) };
    let mut own: Map<String, Value> = serde_json::from_str(&text::join(&[&own])).unwrap_or_default();
    let old = j.queue_id.and_then(|id| broker.snapshot().by_id.get(&id).cloned());
    let container = own.contains_key("container_name") || common.contains("\"container_name\":");
    let need = broker.complete(Needs {
        vo: j.vo.clone(),
        label: j.label.clone(),
        processing_type: j.processing_type.clone().unwrap_or_default(),
        person: j.person_id,
        resource_type: j.resource_type.clone(),
        cores: j.core_count,
        ram: Ram::job(j.ram_mb),
        disk_mb: j.disk_mb,
        walltime_s: j.walltime_s,
        // Which image it is does not matter here: only queues that list images ask.
        image: container.then(String::new),
        never: old.iter().map(|q| q.name.clone()).collect(),
        ..Needs::default()
    });
    let place = broker.place(&need);
    let Place::Queue(id) = &place else { return Ok(false) };
    let snapshot = broker.snapshot().clone();
    let (Some(queue), now) = (snapshot.by_id.get(id), ops.now().0) else { return Ok(false) };
    let rse = snapshot.rses.get(&queue.rse_id);
    let old_rse = old.as_ref().and_then(|q| snapshot.rses.get(&q.rse_id));
    at(&mut own, queue, rse.map(AsRef::as_ref), (old.as_deref(), old_rse.map(AsRef::as_ref)));
    let person = ops.person_by_id(j.person_id).await?;
    let facts = Facts {
        vo: &j.vo,
        label: &j.label,
        processing_type: j.processing_type.as_deref().unwrap_or_default(),
        transformation: own.get("transformation").and_then(Value::as_str).unwrap_or_default(),
        resource_type: &j.resource_type,
        user: &person.name,
        ..Facts::default()
    };
    let share = share::of(ops, &facts).await?;
    let of = LaneOf { queue: *id, vo: &j.vo, label: &j.label, share: &share, resource_type: &j.resource_type, ram_mb: j.ram_mb };
    let lane = ops.lane(&of).await?;
    let mut batch = Batch::new();
    match by {
        Some(_) => job::transition::replace(&mut batch, j, *id, lane, now),
        None => {
            let after = JobRow { state: JobState::Activated, queue_id: Some(*id), lane_id: Some(lane), ..j.clone() };
            job::transition::place(&mut batch, j, *id, lane);
            job::transition::move_to(&mut batch, j, &after, Actor::Engine, now, Some(&format!("queue {} fits", queue.name)))?;
        }
    }
    job::transition::set_doc(&mut batch, j.id, &text::members(&own));
    let mut doc = record::of_job(&place, broker.decision(&need), &snapshot);
    if let (Some(by), Value::Object(doc)) = (by, &mut doc) {
        doc.insert("reassigned_by".into(), by.into());
    }
    decision::set(&mut batch, j.id.0, record::STAGE, now, &doc.to_string());
    match ops.store.apply(batch).await {
        Ok(()) => {
            let state = JobState::Activated;
            let made = Made { lane, person: j.person_id, vo: &j.vo, label: &j.label, state, n: 1, cores: j.core_count.max(1) };
            statistics::generated(ops, &made);
            Ok(true)
        }
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Puts the names of the queue and its storage where the dictionary has none yet, or those of the queue that the job leaves.
fn at(own: &mut Map<String, Value>, queue: &QueueRow, rse: Option<&RseRow>, (old, old_rse): (Option<&QueueRow>, Option<&RseRow>)) {
    let (storage, old_storage) = (rse.map(|r| r.name.as_str()), old_rse.map(|r| r.name.as_str()));
    let old = old.map(|q| q.name.as_str());
    // Where its inputs are stays what it is; where none was named they are at the queue.
    for (key, value, was) in
        [("ddmEndPointOut", storage, old_storage), ("ddmEndPointIn", storage, None), ("fileDestinationSE", Some(queue.name.as_str()), old)]
    {
        let Some(Value::String(list)) = own.get_mut(key) else { continue };
        let filled = job_dict::join(job_dict::split(list).map(|named| named.filter(|n| Some(*n) != was).or(value)));
        *list = filled;
    }
}

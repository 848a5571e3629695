//! The automatic brake: looks at what ended lately at each queue, holds queues and machines whose jobs fail, and follows their canary jobs.
//! The decisions are `core`'s ([`panda_core::policy::brake`]).

use std::collections::BTreeMap;

use panda_core::{
    job::state::JobState,
    policy::brake::{self, Blame, Finding, HoldKind, HoldState, Limits, Outcome, blame, is_elsewhere, machine},
    setting::{ANY, Setting, Values, brake as set},
};
use panda_store::{
    Batch, Topic,
    query::{
        archive, decision,
        hold::{self as rows, EVERY_NODE, Ended, HoldRow},
        job::{self, JobRow},
        queue::QueueRow,
    },
};
use serde_json::{Value, json};

use super::{ENGINE, canary, note, subject};
use crate::{Ops, OpsError};

/// Stage of a queue's decision record.
pub const STAGE: &str = "brake";
/// Ended jobs of a queue looked at, the newest.
const MAX_JOBS: i64 = 2_000;
/// Running jobs of a queue that are counted, so that all of the [`MAX_JOBS`] could be outweighed.
const MAX_RUNNING: i64 = 100 * MAX_JOBS;
/// A machine that no pilot asked from for so long is forgotten, seconds: it has probably gone.
const FORGET_MACHINE_S: i64 = 7 * 86_400;

/// Forgets the decision record of a hold.
pub(super) fn forget(batch: &mut Batch, h: &HoldRow) {
    if h.kind == HoldKind::Brake && h.node == EVERY_NODE {
        decision::delete(batch, subject(h.queue_id), STAGE);
    }
}
/// Writes the decision record of a hold; a machine's stands in the hold itself.
pub(super) fn record(batch: &mut Batch, h: &HoldRow, name: &str, now_us: i64) {
    if h.node == EVERY_NODE {
        let (reason, frees) = super::sentences(h, name);
        let doc = json!({"reason": reason, "frees": frees, "state": h.state.as_str(), "tries": h.tries, "job": h.job_id.map(|j| j.0)});
        decision::set(batch, subject(h.queue_id), STAGE, now_us, &doc.to_string());
    }
}

fn int(s: &Values, what: &Setting) -> i64 {
    s.int(what, ANY, ANY)
}
fn limits(s: &Values, min: &Setting, rate: &Setting) -> Limits {
    let count = |what| usize::try_from(int(s, what)).unwrap_or(usize::MAX);
    Limits {
        min_jobs: count(min),
        rate: s.float(rate, ANY, ANY),
        min_people: count(&set::MIN_PEOPLE),
        early_rate: s.float(&set::EARLY_RATE, ANY, ANY),
    }
}

/// One step over all queues; the answer is the number of holds that changed.
pub async fn step(ops: &Ops) -> Result<usize, OpsError> {
    let settings = ops.settings().await?;
    let queues = ops.queues_changed().await?;
    let mut by: BTreeMap<i64, Vec<HoldRow>> = BTreeMap::new();
    for h in queues.holds.iter().filter(|h| h.kind == HoldKind::Brake) {
        by.entry(h.queue_id.0).or_default().push(HoldRow::clone(h));
    }
    let mut changed = 0;
    for q in queues.sorted() {
        let held = by.remove(&q.id.0).unwrap_or_default();
        for h in &held {
            changed += usize::from(follow(ops, &settings, &q, h).await?);
        }
        if settings.flag(&set::ON, ANY, ANY) && !matches!(q.state.as_str(), "offline" | "paused") {
            changed += judge(ops, &settings, &q, &held).await?;
        }
    }
    if changed > 0 {
        ops.queues_changed().await?;
    }
    Ok(changed)
}

fn outcome(e: &Ended) -> Option<Outcome<'_>> {
    if !e.handed_out || (e.failed && is_elsewhere(&e.codes)) {
        return None;
    }
    let failed = e.failed.then(|| blame(&e.codes));
    Some(Outcome {
        failed,
        task: e.task,
        person: e.person_id,
        machine: e.host.as_deref().map_or("", machine),
        started_us: e.started_us,
        ended_us: e.ended_us,
    })
}

/// Holds the queue, or machines of it, when their jobs fail.
async fn judge(ops: &Ops, settings: &Values, q: &QueueRow, held: &[HoldRow]) -> Result<usize, OpsError> {
    let now = ops.now().0;
    let whole = held.iter().find(|h| h.node == EVERY_NODE);
    if whole.is_some_and(|h| h.state != HoldState::Free) {
        return Ok(0);
    }
    let minutes = int(settings, &set::WINDOW_MIN);
    // What failed before the last release does not count again.
    let since = (now - minutes * 60_000_000).max(whole.map_or(0, |h| h.since_us));
    let ended = rows::ended(&ops.store, q.id, since, MAX_JOBS).await?;
    let counts = |e: &&Ended| {
        let at = e.host.as_deref().map_or("", machine);
        held.iter().all(|h| h.node != at || (h.state == HoldState::Free && e.ended_us > h.since_us))
    };
    let outcomes: Vec<Outcome<'_>> = ended.iter().filter(counts).filter_map(outcome).collect();
    let (node_limits, limits) = (limits(settings, &set::NODE_MIN_JOBS, &set::NODE_RATE), limits(settings, &set::MIN_JOBS, &set::RATE));
    let mut findings = Vec::new();
    for f in brake::machines(&outcomes, &node_limits) {
        findings.extend(unless_acquitted(ops, q, f, &node_limits).await?);
    }
    // Machines that are held now tell nothing about the rest.
    let rest: Vec<Outcome<'_>> =
        outcomes.into_iter().filter(|o| !findings.iter().any(|f| f.machine.as_deref() == Some(o.machine))).collect();
    if let Some(f) = brake::queue(&rest, &limits) {
        findings.extend(unless_acquitted(ops, q, f, &limits).await?);
    }
    for f in &findings {
        begin(ops, settings, q, held, f, minutes).await?;
    }
    Ok(findings.len())
}

/// The finding, with the running jobs that speak against it; None when there are enough of them.
async fn unless_acquitted(ops: &Ops, q: &QueueRow, f: Finding, l: &Limits) -> Result<Option<Finding>, OpsError> {
    let queues = ops.queues().await?;
    let lanes: Vec<_> = queues.lanes.get(&q.id).into_iter().flatten().map(|l| l.id).collect();
    let enough = i64::try_from(f.acquitted_by(l)).unwrap_or(i64::MAX).min(MAX_RUNNING);
    let until = ops.now().0 - f.peers.age_us;
    let running = rows::running(&ops.store, &lanes, f.machine.as_deref(), f.peers.since_us, until, enough).await?;
    Ok((running < enough).then(|| Finding { running: usize::try_from(running).unwrap_or(0), ..f }))
}

async fn begin(ops: &Ops, settings: &Values, q: &QueueRow, held: &[HoldRow], f: &Finding, minutes: i64) -> Result<(), OpsError> {
    let now = ops.now().0;
    let node = f.machine.as_deref().unwrap_or(EVERY_NODE);
    let old = held.iter().find(|h| h.node == node);
    let wait_s = int(settings, &set::FIRST_WAIT_S);
    let h = HoldRow {
        queue_id: q.id,
        node: node.to_owned(),
        kind: HoldKind::Brake,
        state: HoldState::Held,
        reason: f.sentence(minutes),
        who: ENGINE.into(),
        since_us: now,
        next_us: now + wait_s * 1_000_000,
        wait_s,
        tries: 0,
        job_id: None,
        rev: old.map_or(0, |o| o.rev),
    };
    let mut batch = Batch::new();
    if old.is_some() {
        rows::set(&mut batch, &h)
    } else {
        rows::add(&mut batch, &h)
    }
    record(&mut batch, &h, &q.name, now);
    note(ops, &mut batch, &h, &q.name, "held", None).await?;
    tracing::warn!(queue = q.name, node, reason = h.reason, "held");
    apply(ops, batch).await.map(|_| ())
}

async fn apply(ops: &Ops, batch: Batch) -> Result<bool, OpsError> {
    match ops.store.apply(batch).await {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// How the canary job of a hold ended.
enum Verdict {
    Well,
    Badly(String),
    /// It says nothing about the place.
    Nothing(String),
}

fn verdict(j: &JobRow) -> Option<Verdict> {
    let own = j.processing_type.as_deref() == Some(canary::PROCESSING_TYPE);
    let diag = j.diag.clone().unwrap_or_default();
    match j.state {
        // Its payload ran and its outputs are there.
        JobState::Finished | JobState::Merging => Some(Verdict::Well),
        JobState::Failed if own || blame(&j.codes()) == Blame::System => Some(Verdict::Badly(diag)),
        JobState::Failed => Some(Verdict::Nothing(format!("its payload failed: {diag}"))),
        JobState::Cancelled | JobState::Closed => Some(Verdict::Nothing("it was ended before it could tell".into())),
        _ => None,
    }
}

/// Follows a hold: its canary job, the next one, its end.
async fn follow(ops: &Ops, settings: &Values, q: &QueueRow, h: &HoldRow) -> Result<bool, OpsError> {
    let now = ops.now().0;
    let name = q.name.as_str();
    let mut batch = Batch::new();
    match (h.state, h.job_id) {
        (HoldState::Free, _) => {
            if h.since_us > now - int(settings, &set::WINDOW_MIN) * 60_000_000 {
                return Ok(false);
            }
            rows::delete(&mut batch, h);
        }
        (HoldState::Trial, Some(job)) => {
            let Some(verdict) =
                archive::job::find(&ops.store, job).await?.map_or(Some(Verdict::Nothing("it is gone".into())), |j| verdict(&j))
            else {
                return Ok(false);
            };
            settle(ops, settings, &mut batch, h, name, &verdict).await?;
        }
        // The process that let a pilot through died.
        (HoldState::Trial, None) if h.next_us <= now => {
            rows::set(&mut batch, &HoldRow { state: HoldState::Held, next_us: now, ..h.clone() });
        }
        (HoldState::Held, _) if h.next_us <= now && h.node == EVERY_NODE => return feed(ops, q, h).await,
        (HoldState::Held, _) if h.next_us < now - FORGET_MACHINE_S * 1_000_000 => {
            rows::delete(&mut batch, h);
            note(ops, &mut batch, h, name, "forgotten", Some(json!({"reason": "no pilot came from there any more"}))).await?;
        }
        _ => return Ok(false),
    }
    apply(ops, batch).await
}

async fn settle(ops: &Ops, settings: &Values, batch: &mut Batch, h: &HoldRow, name: &str, verdict: &Verdict) -> Result<(), OpsError> {
    let now = ops.now().0;
    let job = h.job_id.map(|j| j.0);
    let again = |wait_s: i64, tries: i64, first: bool| HoldRow {
        state: HoldState::Held,
        wait_s,
        tries,
        next_us: if first { now } else { now + wait_s * 1_000_000 },
        job_id: None,
        ..h.clone()
    };
    let doc = |why: &str| -> Option<Value> { Some(json!({"job": job, "reason": why})) };
    match verdict {
        Verdict::Well => {
            let free = HoldRow { state: HoldState::Free, since_us: now, job_id: None, ..h.clone() };
            rows::set(batch, &free);
            forget(batch, h);
            note(ops, batch, h, name, "released", doc("the canary job ended well")).await?;
            tracing::info!(queue = name, node = h.node, "a canary job ended well: released");
            batch.wake(Topic::Ready(h.queue_id));
            batch.wake(Topic::Files).wake(Topic::Holds);
        }
        Verdict::Badly(diag) => {
            let held = again(brake::next_wait(h.wait_s, int(settings, &set::MOST_WAIT_S)), h.tries + 1, false);
            rows::set(batch, &held);
            record(batch, &held, name, now);
            note(ops, batch, h, name, "canary failed", doc(diag)).await?;
        }
        Verdict::Nothing(why) => {
            // The next pilot tries with another job.
            let held = again(h.wait_s, h.tries, true);
            rows::set(batch, &held);
            record(batch, &held, name, now);
            note(ops, batch, h, name, "canary told nothing", doc(why)).await?;
        }
    }
    Ok(())
}

/// A canary job may go: where no job waits, one is made.
async fn feed(ops: &Ops, q: &QueueRow, h: &HoldRow) -> Result<bool, OpsError> {
    let queues = ops.queues().await?;
    let lanes: Vec<_> = queues.lanes.get(&q.id).into_iter().flatten().map(|l| l.id).collect();
    if job::list::any_ready(&ops.store, &lanes).await? {
        return Ok(false);
    }
    let failed = rows::ended(&ops.store, q.id, 0, MAX_JOBS).await?.into_iter().find(|e| e.failed && outcome(e).is_some());
    let like = match failed {
        Some(e) => archive::job::find(&ops.store, e.id).await?,
        None => None,
    };
    // Nothing is known of its jobs any more: whatever comes next is the canary.
    let Some(like) = like else { return Ok(false) };
    let job = match canary::make(ops, q, &like).await {
        Ok(job) => job,
        // The queue does not take such a job: whatever is sent there next is the canary.
        Err(OpsError::Refused { message, .. }) => {
            tracing::warn!(queue = q.name, "no canary job can be made: {message}");
            return Ok(false);
        }
        Err(e) => return Err(e),
    };
    let mut batch = Batch::new();
    note(ops, &mut batch, h, &q.name, "canary made", Some(json!({"job": job.0}))).await?;
    apply(ops, batch).await
}

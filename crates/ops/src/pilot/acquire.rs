//! Hands activated jobs to a pilot.

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{JobId, LaneId, TaskId},
    policy::{label, resource},
    setting::{ANY, Values, dispatch::MEMORY_PERCENT},
};
use panda_store::{
    driver::{Claim, Claimed},
    query::{
        person,
        queue::{LaneRow, QueueRow},
    },
};

use crate::{
    Ops, OpsError,
    hold::{Gate, canary},
    json,
    queue::{RAM_STEP_MB, Snapshot},
    share::order,
    statistics,
};

/// Most jobs handed out by one call.
pub const MAX_JOBS: u32 = 100;

/// Marks a job document whose job gets its owner's secrets at dispatch.
pub const SECRETS_MARK: &str = "\"useSecrets\":true";

/// What a pilot asks for (`spec/api_v1.md` section 10, `acquire_jobs`).
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Queue name.
    pub queue: String,
    /// `prodSourceLabel`; None means production labels.
    pub label: Option<String>,
    /// Memory of the slot, MB; 0 or negative = no limit.
    pub memory_mb: i64,
    /// Scratch space, MB; 0 or negative = no limit.
    pub disk_mb: i64,
    /// Seconds left in the slot; 0 or negative = no limit.
    pub remaining_s: i64,
    /// Only jobs of this task.
    pub task_id: Option<TaskId>,
    /// Only jobs of this person (shown name).
    pub user: Option<String>,
    /// Only this resource type.
    pub resource_type: Option<String>,
    /// Node.
    pub node: Option<String>,
    /// The worker that the pilot runs in: its Harvester and that one's number of it.
    pub worker: Option<(String, i64)>,
    /// How many, 1 or more.
    pub n: u32,
}

/// Claims up to `ask.n` jobs; each answer is a whole job dictionary as JSON text. Empty = no jobs.
pub async fn acquire(ops: &Ops, who: &Principal, ask: &Ask) -> Result<Vec<String>, OpsError> {
    let privileged = table::allowed(Right::PilotAcquire, Some(who), None);
    let mut person_id = None;
    if privileged.is_err() {
        // Without a role a caller gets only jobs of its own, with the label `user`.
        if ask.label.as_deref() != Some("user") {
            privileged?;
        }
        person_id = Some(ops.person(who).await?.id);
    } else if let Some(user) = ask.user.as_deref().filter(|u| !u.is_empty()) {
        match person::by_name(&ops.store, user).await?.first() {
            Some(p) => person_id = Some(p.id),
            None => return Ok(Vec::new()),
        }
    }
    let queues = ops.queues().await?;
    let Some((queue, kind)) = asked(&queues, ask) else { return Ok(Vec::new()) };
    if queue.state == "offline" || queue.state == "paused" {
        return Ok(Vec::new());
    }
    super::seen::note(ops, queue.id).await?;
    let trial = match queues.gate(queue.id, ask.node.as_deref(), ops.now().0) {
        Gate::Open => None,
        Gate::Shut(_) => return Ok(Vec::new()),
        Gate::Trial(hold) => Some(hold),
    };
    let settings = ops.settings().await?;
    // A pilot of a VO gets the VO's jobs, and nobody else's.
    let vo = if person_id.is_some() { None } else { who.worker_vo() };
    let lanes = queues.lanes.get(&queue.id).into_iter().flatten().filter(|lane| vo.is_none_or(|vo| lane.vo == vo));
    let lanes = open(&settings, lanes, ask, kind);
    let claim = Claim {
        lanes: Vec::new(),
        n: if trial.is_some() { 1 } else { ask.n.clamp(1, MAX_JOBS) },
        max_ram_mb: None,
        max_disk_mb: limit(ask.disk_mb),
        max_walltime_s: limit(ask.remaining_s),
        person_id,
        task_id: ask.task_id,
        ids: Vec::new(),
        host: ask.node.clone(),
        now_us: ops.now().0,
    };
    if let Some(hold) = &trial
        && !canary::take(ops, hold).await?
    {
        return Ok(Vec::new());
    }
    let claimed = claim_in_order(ops, &queues, queue, &lanes, claim).await?;
    if let Some(hold) = &trial {
        canary::sent(ops, hold, claimed.first().map(|j| j.job_id)).await?;
    }
    if !claimed.is_empty() {
        super::seen::started(ops, queue.id).await?;
        if let Some((harvester, number)) = &ask.worker {
            let ids: Vec<JobId> = claimed.iter().map(|j| j.job_id).collect();
            // The jobs are handed out, whatever becomes of what is noted of their worker.
            if let Err(e) = super::worker::took(ops, harvester, *number, queue.id, ask.node.as_deref(), &ids).await {
                tracing::warn!(harvester, number, "the jobs of a worker were not noted: {e}");
            }
        }
    }
    let mut answers = Vec::with_capacity(claimed.len());
    for job in claimed {
        statistics::dispatched(ops, job.lane_id, job.person_id, 1, job.cores.max(1));
        answers.push(dictionary(ops, job).await?);
    }
    Ok(answers)
}

const fn limit(v: i64) -> Option<i64> {
    if v > 0 { Some(v) } else { None }
}

/// The lanes that an asker may take from, each with the memory that a job of its VO may ask for there, MB; 0 or less = any. Classes and memory are
/// those of the VO (`spec/engine.md` sections 9.2, 16.3 and 20.4).
fn open<'a>(
    settings: &Values,
    lanes: impl Iterator<Item = &'a std::sync::Arc<LaneRow>>,
    ask: &Ask,
    kind: Option<&str>,
) -> Vec<(&'a LaneRow, i64)> {
    let mut vos: Vec<(&str, Vec<&str>, i64)> = Vec::new();
    let mut out = Vec::new();
    for lane in lanes.map(AsRef::as_ref).filter(|l| kind.is_none_or(|k| k == l.resource_type)) {
        let at = vos.iter().position(|(vo, ..)| *vo == lane.vo).unwrap_or_else(|| {
            // As the broker lets go to a queue.
            let memory_mb = resource::fits_in(ask.memory_mb, settings.int(&MEMORY_PERCENT, &lane.vo, ANY));
            vos.push((&lane.vo, label::classes_for(settings, &lane.vo, ask.label.as_deref()), memory_mb));
            vos.len() - 1
        });
        let Some((_, classes, memory_mb)) = vos.get(at) else { continue };
        if classes.contains(&lane.label.as_str()) && (*memory_mb <= 0 || lane.ram_step - RAM_STEP_MB < *memory_mb) {
            out.push((lane, *memory_mb));
        }
    }
    out
}

/// The queue that is asked for and the resource type, if only one is wanted; a pseudo queue `QUEUE/TYPE` names both (`spec/engine.md` section 9.3).
fn asked<'a>(queues: &'a Snapshot, ask: &'a Ask) -> Option<(&'a QueueRow, Option<&'a str>)> {
    let kind = ask.resource_type.as_deref().filter(|r| !r.is_empty());
    if let Some(queue) = queues.by_name.get(&ask.queue) {
        return Some((queue, kind));
    }
    let (name, pseudo) = resource::pseudo_queue(&ask.queue)?;
    Some((queues.by_name.get(name)?, kind.or(Some(pseudo))))
}

/// Tries the lanes that seem to hold jobs in the order of shares and priorities; before "no jobs" is answered the database is asked which hold some.
async fn claim_in_order(
    ops: &Ops,
    queues: &Snapshot,
    queue: &QueueRow,
    open: &[(&LaneRow, i64)],
    claim: Claim,
) -> Result<Vec<Claimed>, OpsError> {
    let (lanes, ids): (Vec<&LaneRow>, Vec<LaneId>) = open.iter().map(|(l, _)| (*l, l.id)).unzip();
    for fresh in [false, true] {
        if ids.is_empty() {
            break;
        }
        let heads = ops.store.heads(&ids, fresh, claim.now_us).await?;
        if heads.is_empty() {
            continue;
        }
        let turn = order::rank(ops, queue.id, &lanes, &heads).await?;
        let claimed = match by_age(ops, &turn, open, &claim).await {
            Ok(Some(claimed)) => Ok(claimed),
            Ok(None) => in_parts(ops, &turn.lanes, open, &claim).await,
            Err(e) => Err(e),
        };
        let taken: Vec<(LaneId, i64)> = claimed.iter().flatten().map(|j| (j.lane_id, j.cores)).collect();
        order::done(ops, &turn, queues, &taken);
        let claimed = claimed?;
        if !claimed.is_empty() {
            return Ok(claimed);
        }
    }
    Ok(Vec::new())
}

/// The memory that a job of this lane may ask for.
fn memory_of(open: &[(&LaneRow, i64)], lane: LaneId) -> i64 {
    open.iter().find(|(l, _)| l.id == lane).map_or(0, |(_, mb)| *mb)
}

/// Claims from lanes in their order: together, but for lanes of VOs with other limits of memory.
async fn in_parts(ops: &Ops, lanes: &[LaneId], open: &[(&LaneRow, i64)], claim: &Claim) -> Result<Vec<Claimed>, OpsError> {
    let same = open.windows(2).all(|two| two[0].1 == two[1].1);
    let mut claimed = Vec::new();
    for part in lanes.chunk_by(|a, b| same || memory_of(open, *a) == memory_of(open, *b)) {
        let n = claim.n - u32::try_from(claimed.len()).unwrap_or(claim.n).min(claim.n);
        let Some(first) = part.first().filter(|_| n > 0) else { break };
        let one = Claim { lanes: part.to_vec(), n, max_ram_mb: limit(memory_of(open, *first)), ..claim.clone() };
        match ops.store.claim(one).await {
            Ok(more) => claimed.extend(more),
            Err(e) if claimed.is_empty() => return Err(e.into()),
            // What is claimed is handed out.
            Err(e) => {
                tracing::warn!("claiming more jobs: {e}");
                break;
            }
        }
    }
    Ok(claimed)
}

/// The oldest job of the asker's lanes, when this dispatch is one that goes by age and one is to be had (`spec/engine.md` section 9.2).
async fn by_age(ops: &Ops, turn: &order::Turn, open: &[(&LaneRow, i64)], claim: &Claim) -> Result<Option<Vec<Claimed>>, OpsError> {
    if !turn.by_age || claim.task_id.is_some() || claim.person_id.is_some() {
        return Ok(None);
    }
    let Some((lane, ids)) = order::oldest(ops, &turn.lanes).await? else { return Ok(None) };
    let max_ram_mb = limit(memory_of(open, lane));
    let claimed = ops.store.claim(Claim { lanes: vec![lane], ids: ids.clone(), max_ram_mb, ..claim.clone() }).await?;
    order::looked_at(ops, lane, &ids, claimed.iter().map(|j| j.job_id.0).max());
    Ok(Some(claimed).filter(|c| !c.is_empty()))
}

/// The job dictionary: what may change since the job was made, in front of the documents written then.
async fn dictionary(ops: &Ops, job: Claimed) -> Result<String, OpsError> {
    let mut head = format!(
        "\"StatusCode\":0,\"PandaID\":{},\"attemptNr\":{},\"currentPriority\":{},\"nSent\":0",
        job.job_id, job.attempt, job.priority
    );
    if job.debug {
        head.push_str(",\"debug\":\"True\"");
    }
    if job.common.contains(SECRETS_MARK) || job.doc.contains(SECRETS_MARK) {
        let secrets: serde_json::Map<_, _> =
            person::secrets(&ops.store, job.person_id).await?.into_iter().map(|(k, v)| (k, serde_json::Value::String(v))).collect();
        let text = serde_json::to_string(&secrets).unwrap_or_default();
        head.push_str(",\"secrets\":");
        head.push_str(&json::quote(&text));
    }
    Ok(json::join(&[&head, &job.common, &job.doc]))
}

#[cfg(test)]
#[path = "acquire_tests.rs"]
mod tests;

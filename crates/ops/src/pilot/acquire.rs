//! Hands activated jobs to a pilot.

use std::sync::atomic::{AtomicUsize, Ordering};

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{LaneId, TaskId},
    policy::resource::fits_in,
};
use panda_store::{
    driver::{Claim, Claimed},
    query::person,
};

use crate::{
    Ops, OpsError,
    hold::{Gate, canary},
    json,
    queue::{RAM_STEP_MB, classes_for},
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
    /// How many, 1 or more.
    pub n: u32,
}

// Lanes of equal rank are tried in turn, so that none starves behind another that never runs dry.
static TURN: AtomicUsize = AtomicUsize::new(0);

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
    let Some(queue) = queues.by_name.get(&ask.queue) else { return Ok(Vec::new()) };
    if queue.state == "offline" || queue.state == "paused" {
        return Ok(Vec::new());
    }
    super::seen::note(ops, queue.id).await?;
    let trial = match queues.gate(queue.id, ask.node.as_deref(), ops.now().0) {
        Gate::Open => None,
        Gate::Shut(_) => return Ok(Vec::new()),
        Gate::Trial(hold) => Some(hold),
    };
    let classes = classes_for(ask.label.as_deref());
    // As the broker lets go to a queue (20.4).
    let memory_mb = fits_in(ask.memory_mb);
    let mut lanes: Vec<LaneId> = queues
        .lanes
        .get(&queue.id)
        .into_iter()
        .flatten()
        .filter(|l| classes.contains(&l.label.as_str()))
        .filter(|l| memory_mb <= 0 || l.ram_step - RAM_STEP_MB < memory_mb)
        .filter(|l| ask.resource_type.as_deref().is_none_or(|r| r.is_empty() || r == l.resource_type))
        .map(|l| l.id)
        .collect();
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % lanes.len();
    lanes.rotate_left(turn);
    let limit = |v: i64| (v > 0).then_some(v);
    let now = ops.now();
    let claim = Claim {
        lanes,
        n: if trial.is_some() { 1 } else { ask.n.clamp(1, MAX_JOBS) },
        max_ram_mb: limit(memory_mb),
        max_disk_mb: limit(ask.disk_mb),
        max_walltime_s: limit(ask.remaining_s),
        person_id,
        task_id: ask.task_id,
        host: ask.node.clone(),
        now_us: now.0,
    };
    if let Some(hold) = &trial
        && !canary::take(ops, hold).await?
    {
        return Ok(Vec::new());
    }
    let mut answers = Vec::new();
    let claimed = ops.store.claim(claim).await?;
    if let Some(hold) = &trial {
        canary::sent(ops, hold, claimed.first().map(|j| j.job_id)).await?;
    }
    if !claimed.is_empty() {
        super::seen::started(ops, queue.id).await?;
    }
    for job in claimed {
        // Cores of a claimed job are not read back; its resource type's usual number stands for them.
        let cores = queues.lane(job.lane_id).map_or(1, |l| if l.resource_type.starts_with('M') { queue.core_count.max(1) } else { 1 });
        statistics::dispatched(ops, job.lane_id, job.person_id, 1, cores);
        answers.push(dictionary(ops, job).await?);
    }
    Ok(answers)
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

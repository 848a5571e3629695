//! The throttle of generation: by share and resource type, for shares that are throttled.

use std::collections::BTreeMap;

use panda_core::{
    id::LaneId,
    job::state::JobState,
    policy::{
        label,
        share::UNDEFINED,
        throttle::{self, Jobs, Limits, Row, Tag, Verdict},
    },
    setting::{
        Values,
        dispatch::{LIMITS, THRESHOLD, THRESHOLD_SHORTAGE, WORK_SHORTAGE},
    },
};
use panda_store::query::{job, task::TaskRow};
use serde_json::json;

use super::Hold;
use crate::{Ops, OpsError, statistics};

/// Stage of its records.
pub const STAGE: &str = "throttle";

/// What the throttle says of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Jobs may be made, at most so many now; None = any number.
    Go(Option<i64>),
    /// None now.
    Hold(Hold),
}

/// Asks the throttle whether a task may get jobs of this resource type.
pub async fn ask(ops: &Ops, t: &TaskRow, resource_type: &str) -> Result<Answer, OpsError> {
    let share = t.share_name.as_deref().unwrap_or(UNDEFINED);
    let held = ops.shares().await?;
    let name = if held.tree.is_leaf(share) { share } else { UNDEFINED };
    if !held.tree.get(name).is_some_and(|n| n.share.throttled) {
        return Ok(Answer::Go(None));
    }
    let user = label::class(&*ops.settings().await?, &t.vo, &t.label) == label::ANALYSIS;
    let asked = Asked { share, leaf: name, resource_type, vo: &t.vo, label: &t.label, priority: t.priority, user };
    let (jobs, _, verdict) = weigh(ops, &asked).await?;
    Ok(match verdict {
        Verdict::Pass { at_most } | Verdict::Higher { at_most, .. } => Answer::Go(Some(at_most)),
        Verdict::Skip { row, found, limit } => {
            let reason = throttle::sentence(name, resource_type, row, found, limit, jobs.running);
            let doc = json!({
                "reason": reason, "share": name, "resource_type": resource_type, "row": row.as_str(), "found": found, "limit": limit,
                "running": jobs.running, "queued": jobs.queued, "defined": jobs.defined, "waiting": jobs.waiting,
            });
            Answer::Hold(Hold { stage: STAGE, reason, doc: doc.to_string() })
        }
    })
}

/// For whom the throttle is asked.
pub(super) struct Asked<'a> {
    /// Share that the jobs carry.
    pub share: &'a str,
    /// Leaf of the tree that they belong to.
    pub leaf: &'a str,
    /// Resource type.
    pub resource_type: &'a str,
    /// VO.
    pub vo: &'a str,
    /// Label.
    pub label: &'a str,
    /// Priority of the task.
    pub priority: i64,
    /// Whether its label is one of users, whose priorities say nothing.
    pub user: bool,
}

/// What there is of a share and resource type, the limits, and what follows.
pub(super) async fn weigh(ops: &Ops, a: &Asked<'_>) -> Result<(Jobs, Limits, Verdict), OpsError> {
    let settings = ops.settings().await?;
    let limits = limits(&settings, a.vo, a.label, a.leaf, a.resource_type);
    let load = statistics::load(ops).await?;
    let counts = load.share_type(a.share, a.resource_type);
    let mut jobs = Jobs {
        running: counts.running(),
        queued: counts.activated(),
        defined: counts.jobs(&[JobState::Pending, JobState::Defined, JobState::Assigned]),
        waiting: counts.jobs(&[JobState::Waiting]),
        ..Jobs::default()
    };
    let mut verdict = throttle::verdict(&jobs, &limits, a.priority, a.user);
    if let Verdict::Skip { row, .. } = verdict {
        // Only now is it worth to look at the jobs themselves.
        let lanes = lanes(ops, a.share, a.resource_type).await?;
        if matches!(row, Row::NoRunning | Row::Ratio) {
            jobs.walltime_s = walltime(ops, &lanes).await?;
        }
        jobs.top_priority = ops.store.heads(&lanes, false, ops.now().0).await?.iter().map(|(_, (neg, _))| -neg).max();
        verdict = throttle::verdict(&jobs, &limits, a.priority, a.user);
    }
    Ok((jobs, limits, verdict))
}

/// Reads limits: a JSON object of upstream's keys with numbers; empty = none.
pub(crate) fn read(text: &str) -> Result<BTreeMap<String, i64>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: BTreeMap<String, i64> = serde_json::from_str(text).map_err(|e| format!("no JSON object of whole numbers: {e}"))?;
    let words = [Tag::QueueLimit, Tag::RunningCap, Tag::QueueCap].map(Tag::word);
    let known = |key: &str| words.iter().any(|w| key.strip_prefix(w).is_some_and(|rest| rest.len() > 1 && rest.starts_with('_')));
    match keys.keys().find(|key| !known(key)) {
        Some(key) => Err(format!("key `{key}`; keys are {}_ and the name of a share", words.join("_, "))),
        None => Ok(keys),
    }
}

/// The limits in force.
fn limits(settings: &Values, vo: &str, label: &str, share: &str, resource_type: &str) -> Limits {
    let keys = read(settings.text(&LIMITS, vo, label)).unwrap_or_else(|e| {
        tracing::error!("setting {}: {e}; there are no limits", LIMITS.name);
        BTreeMap::new()
    });
    let find = |key: &str| keys.get(key).copied();
    let at = |tag| throttle::limit(&find, tag, share, resource_type);
    let usual = settings.float(&THRESHOLD, vo, label);
    let short = if settings.flag(&WORK_SHORTAGE, vo, label) { settings.opt_float(&THRESHOLD_SHORTAGE, vo, label) } else { None };
    Limits { threshold: short.unwrap_or(usual), queue: at(Tag::QueueLimit), running_cap: at(Tag::RunningCap), queue_cap: at(Tag::QueueCap) }
}

/// The lanes of a share and resource type at all queues.
async fn lanes(ops: &Ops, share: &str, resource_type: &str) -> Result<Vec<LaneId>, OpsError> {
    let queues = ops.queues().await?;
    let all = queues.lanes.values().flatten();
    let mut ids: Vec<LaneId> = all.filter(|l| l.share == share && l.resource_type == resource_type).map(|l| l.id).collect();
    ids.sort();
    Ok(ids)
}

/// Wall time of what is queued in these lanes, seconds times cores; None when jobs do not state theirs.
async fn walltime(ops: &Ops, lanes: &[LaneId]) -> Result<Option<i64>, OpsError> {
    let mut sum = 0;
    for part in lanes.chunks(panda_store::MAX_IN_LIST) {
        let (stated, seconds) = job::list::ready_walltime(&ops.store, part).await?;
        if !stated {
            return Ok(None);
        }
        sum += seconds;
    }
    Ok(Some(sum))
}

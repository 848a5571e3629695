//! Caps and throttles as people see them: what is set, what there is, and what holds jobs back now.

use panda_access::{Principal, Right, table};
use panda_core::{
    policy::throttle::{self, Cap, Verdict},
    setting::ANY,
};
use serde_json::{Value, json};

use super::{
    cap,
    shift::{Whose, everybody},
    throttle::{Asked, weigh},
};
use crate::{Ops, OpsError, live::Kept, statistics};

/// How old the answer may be, microseconds: everybody with a cap is looked at for it.
const AGE_US: i64 = 10_000_000;
/// Most users, groups and VOs told, those with the fullest caps.
pub const MAX_CAPS: usize = 200;
/// Settings that are told begin so.
const AREAS: [&str; 2] = ["cap.", "throttle."];

#[derive(Debug, Default)]
struct Held(Kept<Value>);

/// Caps and throttles in force, at most ten seconds old: `{"caps": [{"whose" (`user`, `group`, `vo`), "name", "vo", "jobs", "cores", "running",
/// "running_cores", "queued", "queued_cores", "held", "reason"}], "more_caps", "throttles": [{"share", "resource_type", "running", "queued",
/// "defined", "waiting", "queue_limit", "running_cap", "queue_cap", "reason"}], "settings": [{"setting", "vo", "label", "value"}]}`.
/// Caps stand by how full they are, the fullest first, at most [`MAX_CAPS`]; `reason` is a sentence when no jobs are made for them now, else null.
/// Limits of throttles are those for any VO and label; null = none is given.
pub async fn show(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    Ok(Value::clone(&*ops.live.of::<Held>().0.get(ops.now().0, AGE_US, read(ops)).await?))
}

async fn read(ops: &Ops) -> Result<Value, OpsError> {
    let settings = ops.settings().await?;
    let given = settings.iter().filter(|(key, _)| AREAS.iter().any(|a| key.0.starts_with(a)));
    let given: Vec<Value> = given.map(|(key, v)| json!({"setting": key.0, "vo": key.1, "label": key.2, "value": v})).collect();
    let (caps, more) = caps(ops).await?;
    Ok(json!({"caps": caps, "more_caps": more, "throttles": throttles(ops).await?, "settings": given}))
}

/// Part of a cap that is in use.
#[expect(clippy::cast_precision_loss, reason = "a cap is far below the 53 bits of a double")]
fn full(cap: &Cap, running: i64, cores: i64) -> f64 {
    let part = |n: i64, cap: Option<i64>| cap.map_or(0.0, |c| n as f64 / c.max(1) as f64);
    part(running, cap.jobs).max(part(cores, cap.cores))
}

async fn caps(ops: &Ops) -> Result<(Vec<Value>, usize), OpsError> {
    let settings = ops.settings().await?;
    let load = statistics::load(ops).await?;
    let mut all = everybody(ops, &settings, &load).await?;
    all.sort_by(|a, b| {
        let key = |(_, _, cap, has): &(Whose, String, Cap, throttle::Has)| full(cap, has.running, has.running_cores);
        key(b).total_cmp(&key(a)).then_with(|| b.3.held.cmp(&a.3.held))
    });
    let more = all.len().saturating_sub(MAX_CAPS);
    let mut out = Vec::new();
    for (whose, vo, cap, has) in all.into_iter().take(MAX_CAPS) {
        let (kind, name) = match &whose {
            Whose::Person(id) => ("user", ops.person_by_id(*id).await?.name.clone()),
            Whose::Group(_, group) => ("group", group.clone()),
            Whose::Vo(vo) => ("vo", vo.clone()),
        };
        let reason = match throttle::reached(&cap, &has, &cap::factors(&settings, &vo)) {
            Some(reached) => Some(reached.sentence(&whose.name(ops).await?)),
            None => None,
        };
        out.push(json!({
            "whose": kind, "name": name, "vo": vo, "jobs": cap.jobs, "cores": cap.cores, "running": has.running,
            "running_cores": has.running_cores, "queued": has.queued, "queued_cores": has.queued_cores, "held": has.held, "reason": reason,
        }));
    }
    Ok((out, more))
}

/// Throttled leaves with jobs, by resource type, as a user's task would find them.
async fn throttles(ops: &Ops) -> Result<Vec<Value>, OpsError> {
    let held = ops.shares().await?;
    let load = statistics::load(ops).await?;
    let mut out = Vec::new();
    for node in held.tree.nodes().iter().filter(|n| n.share.throttled && n.children.is_empty()) {
        let share = node.share.name.as_str();
        for (resource_type, _) in load.types_of(share).filter(|(_, c)| c.live() > 0) {
            let asked = Asked { share, leaf: share, resource_type, vo: ANY, label: ANY, priority: i64::MIN, user: true };
            let (jobs, limits, verdict) = weigh(ops, &asked).await?;
            let reason = match verdict {
                Verdict::Skip { row, found, limit } => Some(throttle::sentence(share, resource_type, row, found, limit, jobs.running)),
                Verdict::Pass { .. } | Verdict::Higher { .. } => None,
            };
            out.push(json!({
                "share": share, "resource_type": resource_type, "running": jobs.running, "queued": jobs.queued, "defined": jobs.defined,
                "waiting": jobs.waiting, "queue_limit": limits.queue, "running_cap": limits.running_cap, "queue_cap": limits.queue_cap,
                "reason": reason,
            }));
        }
    }
    Ok(out)
}

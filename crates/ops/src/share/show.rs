//! The shares as people see them: targets, what runs, what waits.

use panda_access::{Principal, Right, table};
use panda_core::policy::share::{Node, Share};
use serde_json::{Value, json};

use crate::{Ops, OpsError, statistics};

/// Every share, parents first.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Vec<Share>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    Ok(ops.shares().await?.tree.nodes().iter().map(|n| n.share.clone()).collect())
}

/// What is configured of a share, as JSON: `{"name", "parent", "value", "position", "throttled", "rules": {name: pattern}}`.
#[must_use]
pub fn wire(share: &Share) -> Value {
    let rules: serde_json::Map<String, Value> =
        share.rules.texts().into_iter().filter_map(|(k, p)| Some((k.to_owned(), Value::from(p?)))).collect();
    json!({
        "name": share.name, "parent": share.parent, "value": share.value, "throttled": share.throttled, "rules": rules,
        // What was not configured stands behind everything.
        "position": if share.position == i64::MAX { Value::Null } else { share.position.into() },
    })
}

/// Every share with its target, what it uses and what waits, parents first; with a name only that share and its parts. Each is [`wire`] and
/// `{"target"` (0 to 1), `"running"`, `"cores"`, `"queued"`, `"part"` (of the cores in use, 0 to 1), `"ratio"` (part over target; null without
/// target)`}`. Shares that jobs are in but nobody configured are told as `Undefined`.
pub async fn show(ops: &Ops, who: &Principal, name: Option<&str>) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let held = ops.shares().await?;
    let nodes = held.tree.nodes();
    if let Some(name) = name
        && held.tree.get(name).is_none()
    {
        return Err(OpsError::NotFound(format!("share `{name}` does not exist; `panda share list` shows what there is")));
    }
    let load = statistics::load(ops).await?;
    // Own counts of each node, then those of its parts: parents stand before them, so from behind.
    let mut sums = vec![(0_i64, 0_i64, 0_i64); nodes.len()];
    for (share, counts) in load.shares() {
        let leaf = if held.tree.is_leaf(share) { share } else { panda_core::policy::share::UNDEFINED };
        if let Some(at) = nodes.iter().position(|n| n.share.name == leaf) {
            let s = &mut sums[at];
            *s = (s.0 + counts.running(), s.1 + counts.running_cores(), s.2 + counts.activated());
        }
    }
    for at in (0..nodes.len()).rev() {
        if let Some(p) = nodes[at].parent {
            let own = sums[at];
            let s = &mut sums[p];
            *s = (s.0 + own.0, s.1 + own.1, s.2 + own.2);
        }
    }
    let all: i64 = nodes.iter().zip(&sums).filter(|(n, _)| n.parent.is_none()).map(|(_, s)| s.1).sum();
    let below =
        |at: usize| name.is_none_or(|name| std::iter::successors(Some(at), |i| nodes[*i].parent).any(|i| nodes[i].share.name == name));
    Ok((0..nodes.len()).filter(|at| below(*at)).map(|at| one(&nodes[at], sums[at], all)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "cores in use are far below the 53 bits of a double")]
fn one(node: &Node, (running, cores, queued): (i64, i64, i64), all: i64) -> Value {
    let part = if all > 0 { cores as f64 / all as f64 } else { 0.0 };
    let ratio = (node.target > 0.0).then(|| part / node.target);
    let mut out = wire(&node.share);
    for (key, value) in [("target", json!(node.target)), ("running", json!(running)), ("cores", json!(cores)), ("queued", json!(queued))] {
        out[key] = value;
    }
    out["part"] = json!(part);
    out["ratio"] = json!(ratio);
    out
}

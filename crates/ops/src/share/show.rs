//! The shares as people see them: targets, what runs, what waits.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::policy::{
    load::{Counts, Load},
    share::{Node, Share, Tree, UNDEFINED},
};
use serde_json::{Value, json};

use super::order;
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

/// What a share or a VO in it has.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    running: i64,
    cores: i64,
    queued: i64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        *self = Self { running: self.running + other.running, cores: self.cores + other.cores, queued: self.queued + other.queued };
    }
}

impl From<&Counts> for Sum {
    fn from(c: &Counts) -> Self {
        Self { running: c.running(), cores: c.running_cores(), queued: c.activated() }
    }
}

/// What one share has: itself and its parts together.
#[derive(Debug, Clone, Default)]
struct Has {
    sum: Sum,
    vos: BTreeMap<String, Sum>,
    /// Names of shares that its jobs carry and that are no leaves of the tree (any more).
    unknown: Vec<String>,
    rank: Option<usize>,
}

/// Every share with its target, what it uses and what waits, parents first; with a name only that share and its parts. Each is [`wire`] and
/// `{"target"` (0 to 1), `"running"`, `"cores"`, `"queued"`, `"part"` (of the cores in use, 0 to 1), `"difference"` (part less target; null while no
/// core is in use), `"ratio"` (part over target; null without target), `"rank"` (place among the leaves with jobs for a pilot: 1 is served
/// next; null for others), `"vos": [{"vo", "running", "cores", "queued", "part"}]`, `"unknown": [name]}`. Shares that jobs are in but nobody
/// configured are told as `Undefined`, which names them under `unknown`.
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
    let all = has(&held.tree, &load, &order::due(ops, &load).await?);
    let cores: i64 = nodes.iter().zip(&all).filter(|(n, _)| n.parent.is_none()).map(|(_, h)| h.sum.cores).sum();
    let below =
        |at: usize| name.is_none_or(|name| std::iter::successors(Some(at), |i| nodes[*i].parent).any(|i| nodes[i].share.name == name));
    Ok((0..nodes.len()).filter(|at| below(*at)).map(|at| one(&nodes[at], &all[at], cores)).collect())
}

/// What each share of the tree has, in its order. `due`: shares and VOs with jobs for a pilot, the next one first.
fn has(tree: &Tree, load: &Load, due: &[(String, String)]) -> Vec<Has> {
    let nodes = tree.nodes();
    let leaf = |share: &str| {
        let name = if tree.is_leaf(share) { share } else { UNDEFINED };
        nodes.iter().position(|n| n.share.name == name)
    };
    let mut all = vec![Has::default(); nodes.len()];
    for (share, counts) in load.shares() {
        if let Some(at) = leaf(share) {
            all[at].sum.add(counts.into());
            if !share.is_empty() && nodes[at].share.name != share && counts.live() > 0 {
                all[at].unknown.push(share.to_owned());
            }
        }
    }
    for ((share, vo), counts) in load.queues().flat_map(|(_, at)| &at.by_share_vo) {
        if let Some(at) = leaf(share) {
            all[at].vos.entry(vo.clone()).or_default().add(counts.into());
        }
    }
    let mut rank = 0;
    for at in due.iter().filter_map(|(share, _)| leaf(share)) {
        if all[at].rank.is_none() {
            rank += 1;
            all[at].rank = Some(rank);
        }
    }
    // Parents stand before their parts, so from behind.
    for at in (0..nodes.len()).rev() {
        if let Some(p) = nodes[at].parent {
            let own = all[at].clone();
            all[p].sum.add(own.sum);
            for (vo, sum) in own.vos {
                all[p].vos.entry(vo).or_default().add(sum);
            }
        }
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "cores in use are far below the 53 bits of a double")]
fn part(cores: i64, all: i64) -> f64 {
    if all > 0 { cores as f64 / all as f64 } else { 0.0 }
}

fn one(node: &Node, has: &Has, all: i64) -> Value {
    let used = part(has.sum.cores, all);
    let mut out = wire(&node.share);
    for (key, value) in [
        ("target", json!(node.target)),
        ("running", json!(has.sum.running)),
        ("cores", json!(has.sum.cores)),
        ("queued", json!(has.sum.queued)),
        ("part", json!(used)),
        ("difference", json!((all > 0).then_some(used - node.target))),
        ("ratio", json!((node.target > 0.0).then(|| used / node.target))),
        ("rank", json!(has.rank)),
    ] {
        out[key] = value;
    }
    let vo = |(vo, s): (&String, &Sum)| json!({"vo": vo, "running": s.running, "cores": s.cores, "queued": s.queued, "part": part(s.cores, all)});
    out["vos"] = has.vos.iter().filter(|(_, s)| s.running + s.queued > 0).map(vo).collect();
    out["unknown"] = json!(has.unknown);
    out
}

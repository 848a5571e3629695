//! Global shares: the configured tree, the leaf of a task or job, and the order of dispatch that follows (`spec/engine.md` section 9).
//!
//! Rules are regular expressions that must fit the whole value.

pub mod change;
#[cfg(test)]
mod dispatch_tests;
pub mod order;
pub mod reassign;
pub mod show;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use panda_core::{
    policy::share::{Facts, Rules, Share, Tree, UNDEFINED},
    setting::{Values, dispatch::SHARE_DEFAULT},
};
use panda_store::query::{
    lease,
    share::{self, REVISION, ShareRow},
};
use panda_wire::TaskParameters;
use regex::Regex;
use serde_json::{Map, Value};

use crate::{Ops, OpsError};

/// How often a process looks whether the shares have changed, microseconds.
const LOOK_EVERY_US: i64 = 1_000_000;
/// Most bytes of a compiled pattern.
const MAX_PATTERN: usize = 1 << 20;

/// The cache.
#[derive(Debug, Default)]
pub struct Shares {
    held: ArcSwapOption<Held>,
    reading: tokio::sync::Mutex<()>,
    pub(crate) board: parking_lot::Mutex<order::Board>,
}

/// The shares at one moment.
#[derive(Debug, Default)]
pub struct Held {
    looked_us: i64,
    /// Revision of all of them together; 0 = there never were any.
    pub revision: i64,
    /// The tree.
    pub tree: Arc<Tree>,
    patterns: Arc<BTreeMap<String, Regex>>,
}

impl Held {
    /// The leaf of what has these facts: by rules, else the site's default, else `Undefined`.
    #[must_use]
    pub fn of(&self, settings: &Values, facts: &Facts<'_>) -> String {
        let fits = |pattern: &str, value: &str| self.patterns.get(pattern).is_some_and(|r| r.is_match(value));
        if let Some(node) = self.tree.of(facts, &fits) {
            return node.share.name.clone();
        }
        let default = settings.text(&SHARE_DEFAULT, facts.vo, facts.label);
        if self.tree.is_leaf(default) { default.to_owned() } else { UNDEFINED.to_owned() }
    }
}

impl Ops {
    /// The shares, at most a second old.
    pub async fn shares(&self) -> Result<Arc<Held>, OpsError> {
        let now = self.now().0;
        if let Some(held) = self.shares.held.load_full()
            && (0..LOOK_EVERY_US).contains(&(now - held.looked_us))
        {
            return Ok(held);
        }
        self.reread_shares().await
    }
    async fn reread_shares(&self) -> Result<Arc<Held>, OpsError> {
        let _one = self.shares.reading.lock().await;
        let now = self.now().0;
        let revision = lease::get(&self.store, REVISION).await?.map_or(0, |l| l.epoch);
        let held = self.shares.held.load_full();
        let next = match held {
            Some(h) if h.revision == revision => Held { looked_us: now, revision, tree: h.tree.clone(), patterns: h.patterns.clone() },
            _ => {
                let shares = share::list(&self.store).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                let (tree, patterns) = check(shares).map_err(|e| OpsError::Internal(format!("the stored shares: {e}")))?;
                Held { looked_us: now, revision, tree: Arc::new(tree), patterns: Arc::new(patterns) }
            }
        };
        let next = Arc::new(next);
        self.shares.held.store(Some(next.clone()));
        Ok(next)
    }
}

/// The leaf of a task or a job with these facts.
pub async fn of(ops: &Ops, facts: &Facts<'_>) -> Result<String, OpsError> {
    Ok(ops.shares().await?.of(&*ops.settings().await?, facts))
}

/// The leaf of a task with these parameters (the one that they name, else by rules), which has this VO and label, needs this resource type and belongs to this user.
pub async fn of_task(ops: &Ops, p: &TaskParameters, vo: &str, label: &str, resource_type: &str, user: &str) -> Result<String, OpsError> {
    let held = ops.shares().await?;
    if let Some(named) = p.gshare.as_deref().filter(|s| held.tree.is_leaf(s)) {
        return Ok(named.to_owned());
    }
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let (group, kind, campaign, path) = (text(&p.working_group), text(&p.processing_type), text(&p.campaign), text(&p.trans_path));
    let facts =
        Facts { vo, label, working_group: &group, campaign: &campaign, processing_type: &kind, transformation: &path, resource_type, user };
    Ok(held.of(&*ops.settings().await?, &facts))
}

/// Checks shares and compiles their rules; the error holds everything that is wrong.
fn check(shares: Vec<Share>) -> Result<(Tree, BTreeMap<String, Regex>), String> {
    let mut patterns = BTreeMap::new();
    let mut problems = Vec::new();
    for s in &shares {
        for (key, pattern) in s.rules.texts().into_iter().filter_map(|(k, p)| Some((k, p?))) {
            match regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(MAX_PATTERN).build() {
                Ok(regex) => {
                    patterns.insert(pattern.to_owned(), regex);
                }
                Err(e) => problems.push(format!("share `{}`: rule {key} `{pattern}` is no regular expression: {e}", s.name)),
            }
        }
    }
    match Tree::new(shares) {
        Ok(tree) if problems.is_empty() => Ok((tree, patterns)),
        Ok(_) => Err(problems.join("; ")),
        Err(more) => Err(problems.into_iter().chain(more.iter().map(ToString::to_string)).collect::<Vec<_>>().join("; ")),
    }
}

fn read(row: &ShareRow) -> Result<Share, OpsError> {
    let wrong = |e: String| OpsError::Internal(format!("rules of share `{}`: {e}", row.name));
    let map: Map<String, Value> = serde_json::from_str(&row.rules).map_err(|e| wrong(e.to_string()))?;
    let mut rules = Rules::default();
    for (key, value) in map {
        let slot = rules.slot(&key).ok_or_else(|| wrong(format!("`{key}` is unknown to this program")))?;
        *slot = value.as_str().map(str::to_owned);
    }
    Ok(Share {
        name: row.name.clone(),
        parent: row.parent.clone(),
        value: row.percent,
        throttled: row.throttled,
        position: row.rank,
        rules,
    })
}

fn row(share: &Share) -> ShareRow {
    let rules: Map<String, Value> = share.rules.texts().into_iter().filter_map(|(k, p)| Some((k.to_owned(), Value::from(p?)))).collect();
    ShareRow {
        name: share.name.clone(),
        parent: share.parent.clone(),
        percent: share.value,
        throttled: share.throttled,
        rank: share.position,
        rules: Value::Object(rules).to_string(),
    }
}

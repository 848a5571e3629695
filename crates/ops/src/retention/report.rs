//! What is kept: how much of each class each VO has, since when, and when the oldest of it goes.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{JobId, TaskId},
    policy::retention::{DAY_US, is_archive},
    setting::ANY,
};
use panda_store::query::{
    archive::{self, expire, shift},
    cache, old,
};
use serde_json::{Value, json};

use super::{Class, Due, Rules, disk};
use crate::{Ops, OpsError, clock};

/// Most pages of rows, and of folders, that one report reads; behind them its figures are lower bounds.
const MAX_PAGES: usize = 200;
/// Examples of each class in a dry run.
const EXAMPLES: usize = 5;

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    rows: i64,
    bytes: i64,
    oldest_us: Option<i64>,
}

impl Sum {
    fn add(&mut self, bytes: i64, at_us: i64) {
        self.rows += 1;
        self.bytes += bytes;
        self.oldest_us = Some(self.oldest_us.map_or(at_us, |o| o.min(at_us)));
    }
}

type Sums = BTreeMap<(Class, String), Sum>;

/// `[{"class", "vo", "rows", "bytes", "oldest", "keep_days", "counts_from", "next", "setting"}]`: what there is. `bytes` of the archive are those
/// of its documents; `next` is when the oldest would go, null when it never does.
pub async fn list(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let settings = ops.settings().await?;
    let rules = Rules { values: &settings, now_us: ops.now().0 };
    let mut sums = Sums::new();
    archived(ops, &mut sums).await?;
    uploads(ops, &mut sums).await?;
    logs(ops, &mut sums).await?;
    records(ops, &mut sums).await?;
    pre_merge(ops, &mut sums).await?;
    let line = |((class, vo), sum): (&(Class, String), &Sum)| {
        let days = rules.days(*class, if vo.is_empty() { ANY } else { vo }, ANY);
        let next = sum.oldest_us.filter(|_| days > 0).map(|at| clock::text(at + days * DAY_US));
        json!({
            "class": class.name(), "vo": vo, "rows": sum.rows, "bytes": sum.bytes, "oldest": sum.oldest_us.map(clock::text), "keep_days": days,
            "counts_from": class.counts_from(), "next": next, "setting": class.setting().map(|s| s.name),
        })
    };
    Ok(sums.iter().map(line).collect())
}

/// `[{"class", "vo", "n", "bytes", "oldest", "examples"}]`: what would be removed now.
pub async fn due(ops: &Ops, who: &Principal) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let mut by: BTreeMap<(Class, String), Vec<Due>> = BTreeMap::new();
    for d in super::dry_run(ops).await? {
        by.entry((d.class, d.vo.clone())).or_default().push(d);
    }
    let line = |((class, vo), due): ((Class, String), Vec<Due>)| {
        let examples: Vec<&str> = due.iter().take(EXAMPLES).map(|d| d.name.as_str()).collect();
        json!({
            "class": class.name(), "vo": vo, "n": due.len(), "bytes": due.iter().map(|d| d.bytes).sum::<i64>(),
            "oldest": due.iter().map(|d| d.since_us).min().map(clock::text), "examples": examples,
        })
    };
    Ok(by.into_iter().map(line).collect())
}

async fn archived(ops: &Ops, sums: &mut Sums) -> Result<(), OpsError> {
    for (vo, kind, rows, bytes) in shift::sizes(&ops.store).await? {
        let (task, alone) = expire::oldest(&ops.store, &vo).await?;
        let (class, oldest_us) = match kind.as_str() {
            shift::TASKS => (Class::Tasks, task),
            shift::JOBS => (Class::Jobs, alone),
            shift::HISTORY => (Class::History, None),
            _ => continue,
        };
        if rows > 0 {
            sums.insert((class, vo), Sum { rows, bytes, oldest_us });
        }
    }
    Ok(())
}

async fn uploads(ops: &Ops, sums: &mut Sums) -> Result<(), OpsError> {
    let mut after = String::new();
    for _ in 0..MAX_PAGES {
        let page = cache::page(&ops.store, &after, panda_store::query::MAX_PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.1);
        for (vo, name, bytes, touched_us) in page {
            let class = if is_archive(&name) { Class::Sandboxes } else { Class::Uploads };
            sums.entry((class, vo.unwrap_or_default())).or_default().add(bytes, touched_us);
        }
    }
    for d in disk::find_leftovers(ops).await?.0 {
        sums.entry((Class::Leftovers, String::new())).or_default().add(d.bytes, d.since_us);
    }
    Ok(())
}

async fn logs(ops: &Ops, sums: &mut Sums) -> Result<(), OpsError> {
    let root = ops.blobs.logs();
    let look = move || {
        let dirs = disk::numbered(&root).into_iter().take(MAX_PAGES);
        dirs.map(|(_, dir)| disk::numbered(&dir).into_iter().map(|(job, dir)| (job, disk::files(&dir))).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let found = tokio::task::spawn_blocking(look).await.map_err(|e| OpsError::Internal(format!("looking at logs stopped: {e}")))?;
    for folder in found {
        let ids: Vec<JobId> = folder.iter().map(|(job, _)| JobId(*job)).collect();
        let jobs = archive::job::many(&ops.store, &ids).await?;
        for (job, files) in folder {
            let vo = jobs.iter().find(|j| j.id.0 == job).map(|j| j.vo.clone()).unwrap_or_default();
            for f in files {
                sums.entry((Class::Logs, vo.clone())).or_default().add(f.bytes, f.at_us);
            }
        }
    }
    Ok(())
}

async fn records(ops: &Ops, sums: &mut Sums) -> Result<(), OpsError> {
    let classes = [Class::Decisions, Class::Workers, Class::Machines, Class::Journal, Class::Harvesters];
    for (class, (rows, oldest_us)) in classes.into_iter().zip(old::sums(&ops.store).await?) {
        if rows > 0 {
            sums.insert((class, String::new()), Sum { rows, bytes: 0, oldest_us });
        }
    }
    Ok(())
}

async fn pre_merge(ops: &Ops, sums: &mut Sums) -> Result<(), OpsError> {
    for cold in [false, true] {
        let mut after = TaskId(0);
        for _ in 0..MAX_PAGES {
            let page = old::pre_merge(&ops.store, cold, after, i64::MAX, panda_store::query::MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.task;
            for s in page {
                let (n, bytes) = disk::count(ops, &s).await?;
                let sum = sums.entry((Class::PreMerge, s.vo)).or_default();
                sum.rows += n;
                sum.bytes += bytes;
                sum.oldest_us = Some(sum.oldest_us.map_or(s.ended_us, |o| o.min(s.ended_us)));
            }
        }
    }
    Ok(())
}

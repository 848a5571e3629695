//! The nodes of a DAG against each other: how long each waits, and why those that do not run do not.

use std::collections::BTreeMap;

use panda_core::{
    file::FileState,
    policy::dag::{Ended, Fate, Kind, fate},
};
use panda_store::query::task::{
    dag::{self, Node},
    dataset::TaskDataset,
};

use crate::{
    Ops, OpsError,
    task::dag::{Stored, read_page},
};

/// Rows read at a time.
const PAGE: i64 = 10_000;

/// All that is known of a DAG, by number - 1.
struct All {
    nodes: Vec<Node>,
    stored: Vec<Stored>,
    /// Ends that are not told yet: how many dependants know.
    left: BTreeMap<i64, i64>,
}

fn at<T>(list: &[T], seq: i64) -> Option<&T> {
    list.get(usize::try_from(seq - 1).ok()?)
}

/// What does not agree, as sentences. While a DAG is listed, or is to be counted anew, nothing is asked of it.
pub(super) async fn differences(ops: &Ops, d: &TaskDataset) -> Result<Vec<String>, OpsError> {
    let mut wrong = Vec::new();
    if matches!(d.state.as_str(), "defined" | "feeding") {
        return Ok(wrong);
    }
    let all = read(ops, d.id).await?;
    if all.left.contains_key(&0) {
        return Ok(wrong);
    }
    let mut say = |n: &Node, what: String| wrong.push(format!("task {}, node {} {}: {what}", d.task_id, n.seq, n.state));
    if all.nodes.len() != all.stored.len() {
        return Ok(vec![format!("task {} has {} nodes, its pages have {}", d.task_id, all.nodes.len(), all.stored.len())]);
    }
    for (n, stored) in all.nodes.iter().zip(&all.stored) {
        match n.state {
            FileState::Pending => {
                let waits = all.waits(n.seq, stored);
                if n.n_wait != waits || waits == 0 {
                    say(n, format!("waits for {}, its dependencies say {waits}", n.n_wait));
                }
            }
            // A task that ends early stops what waits, whatever it waits for.
            FileState::Blocked | FileState::Unneeded => {
                let ends =
                    stored.on.iter().map(|(seq, kind)| Some((*kind, Ended::of(at(&all.nodes, *seq)?.state)?))).collect::<Option<Vec<_>>>();
                let fits = ends.is_some_and(|ends| match fate(ends) {
                    Fate::Blocked(_) => n.state == FileState::Blocked,
                    Fate::Unneeded => n.state == FileState::Unneeded,
                    Fate::Runs => false,
                });
                if !fits {
                    say(n, "its dependencies say otherwise".into());
                }
            }
            _ => {}
        }
        if (n.state == FileState::Blocked) != n.blame.is_some() {
            say(n, format!("blames {:?}", n.blame));
        }
    }
    Ok(wrong)
}

impl All {
    /// How many dependencies of a node have not ended, or have and it was not told.
    fn waits(&self, seq: i64, stored: &Stored) -> i64 {
        let waits = |(on, _): &&(i64, Kind)| match at(&self.nodes, *on) {
            Some(n) if Ended::of(n.state).is_some() => self.left.get(on).is_some_and(|done| {
                let place = at(&self.stored, *on).and_then(|s| s.by.iter().position(|(child, _)| *child == seq));
                place.is_some_and(|place| i64::try_from(place).is_ok_and(|place| place >= *done))
            }),
            _ => true,
        };
        i64::try_from(stored.on.iter().filter(waits).count()).unwrap_or(i64::MAX)
    }
}

async fn read(ops: &Ops, dataset: i64) -> Result<All, OpsError> {
    let mut all = All { nodes: Vec::new(), stored: Vec::new(), left: BTreeMap::new() };
    let mut after = 0;
    loop {
        let page = dag::next_pages(&ops.store, dataset, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, doc) in &page {
            all.stored.extend(read_page(doc).map_err(OpsError::Internal)?);
        }
    }
    loop {
        let page = dag::page(&ops.store, dataset, all.nodes.last().map_or(0, |n| n.seq), PAGE).await?;
        if page.is_empty() {
            break;
        }
        all.nodes.extend(page);
    }
    let mut from = 0;
    loop {
        let page = dag::ended_of(&ops.store, dataset, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        all.left.extend(page.iter().map(|e| (e.seq, e.done)));
    }
    Ok(all)
}

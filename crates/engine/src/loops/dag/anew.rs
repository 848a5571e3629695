//! Counts anew what every node of a DAG waits for, from the states of all nodes: after its task was taken up again. Done over after a crash, it comes
//! to the same.

use std::collections::HashMap;

use panda_core::{file::FileState, policy::dag::Ended};
use panda_ops::{
    Ops,
    task::dag::{PAGE, Stored, read_page},
};
use panda_store::{
    Batch, MAX_IN_LIST,
    query::task::dag::{self, EndedNode, Node},
};

use super::{CHANGES, Changes, blame, settled};
use crate::{EngineError, Report};

/// Pages read at a time.
const PAGES: i64 = 50;

/// All nodes up to one.
#[derive(Debug, Default)]
struct Seen {
    /// How each ended, if it did, by number - 1.
    ends: Vec<Option<Ended>>,
    /// Who is to blame for those that cannot run.
    blames: HashMap<i64, i64>,
    /// Those that had ended when they were read, by number - 1: what they leave to be told is told by this.
    told: Vec<bool>,
}

impl Seen {
    fn of(&self, seq: i64) -> Option<(Option<Ended>, i64)> {
        let end = usize::try_from(seq - 1).ok().and_then(|at| self.ends.get(at))?;
        Some((*end, blame(seq, self.blames.get(&seq).copied())))
    }
    /// What becomes of the next node.
    fn next(&mut self, n: &Node, stored: &Stored, changes: &mut Changes) {
        let mut end = Ended::of(n.state);
        self.told.push(end.is_some());
        self.blames.extend(n.blame.map(|b| (n.seq, b)));
        if n.state == FileState::Pending {
            let waits = stored.on.iter().filter(|(seq, _)| self.of(*seq).is_none_or(|(end, _)| end.is_none())).count();
            match settled(&stored.on, |seq| self.of(seq)) {
                Some((state, blame)) => {
                    changes.settle(n, state, blame);
                    end = Ended::of(state);
                    self.blames.extend(blame.map(|b| (n.seq, b)));
                }
                None => changes.wait(n, i64::try_from(waits).unwrap_or(i64::MAX)),
            }
        }
        self.ends.push(end);
    }
}

/// Counts all nodes of a data set, in batches that stand alone.
pub(super) async fn count(ops: &Ops, dataset: i64, wish: &EndedNode) -> Result<Report, EngineError> {
    let (mut seen, mut first, mut changes) = (Seen::default(), 0, Changes::default());
    loop {
        let pages = dag::next_pages(&ops.store, dataset, first, PAGES).await?;
        let Some((last, _)) = pages.last() else { break };
        first = *last;
        let after = i64::try_from(seen.ends.len()).unwrap_or(0);
        let nodes = dag::page(&ops.store, dataset, after, PAGES * PAGE).await?;
        let mut nodes = nodes.iter();
        for (_, doc) in &pages {
            let stored = read_page(doc).map_err(EngineError::Internal)?;
            for (stored, n) in stored.iter().zip(nodes.by_ref()) {
                seen.next(n, stored, &mut changes);
                if changes.len() > CHANGES {
                    apply(ops, dataset, std::mem::take(&mut changes)).await?;
                }
            }
        }
    }
    apply(ops, dataset, changes).await?;
    let mut batch = Batch::new();
    let mut from = 1;
    loop {
        let left = dag::ended_of(&ops.store, dataset, from, 10_000).await?;
        let Some(last) = left.last() else { break };
        from = last.seq + 1;
        let counted = |seq: i64| usize::try_from(seq - 1).ok().and_then(|at| seen.told.get(at)).is_some_and(|t| *t);
        let told: Vec<i64> = left.iter().map(|e| e.seq).filter(|seq| counted(*seq)).collect();
        for chunk in told.chunks(MAX_IN_LIST) {
            dag::told(&mut batch, dataset, chunk);
        }
    }
    dag::counted(&mut batch, dataset, wish);
    ops.store.apply(batch).await?;
    Ok(Report { done: 1, more: true })
}

async fn apply(ops: &Ops, dataset: i64, changes: Changes) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    changes.write(&mut batch, dataset);
    Ok(ops.store.apply(batch).await?)
}

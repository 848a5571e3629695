//! The arguments of nodes of a DAG, for their jobs.

use std::collections::{BTreeSet, HashMap};

use panda_ops::{
    Ops,
    task::dag::{Stored, page_of, read_page},
};
use panda_store::{MAX_IN_LIST, query::task::dag};

use crate::EngineError;

/// Pages of these nodes, as they are stored, by the number of their first node.
pub(crate) async fn pages(ops: &Ops, dataset: i64, seqs: impl Iterator<Item = i64>) -> Result<HashMap<i64, Vec<Stored>>, EngineError> {
    let firsts: Vec<i64> = seqs.map(page_of).collect::<BTreeSet<_>>().into_iter().collect();
    let mut pages = HashMap::new();
    for chunk in firsts.chunks(MAX_IN_LIST) {
        for (first, doc) in dag::pages(&ops.store, dataset, chunk).await? {
            pages.insert(first, read_page(&doc).map_err(EngineError::Internal)?);
        }
    }
    Ok(pages)
}

/// A node out of these pages.
pub(crate) fn of(pages: &HashMap<i64, Vec<Stored>>, seq: i64) -> Option<&Stored> {
    let first = page_of(seq);
    pages.get(&first)?.get(usize::try_from(seq - first).ok()?)
}

/// Arguments of these nodes, by their number.
pub(super) async fn args(ops: &Ops, dataset: i64, seqs: impl Iterator<Item = i64>) -> Result<HashMap<i64, String>, EngineError> {
    let seqs: Vec<i64> = seqs.collect();
    let mut pages = pages(ops, dataset, seqs.iter().copied()).await?;
    let mut take = |seq: i64| {
        let first = page_of(seq);
        let node = pages.get_mut(&first)?.get_mut(usize::try_from(seq - first).ok()?)?;
        Some((seq, std::mem::take(&mut node.args)))
    };
    Ok(seqs.into_iter().filter_map(&mut take).collect())
}

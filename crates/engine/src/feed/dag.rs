//! The DAG of a task: its file, and the pages of its nodes, which are written with their rows.

use std::sync::Arc;

use panda_ops::{
    Ops,
    task::dag::{self, Dag, PAGE, page_of},
};
use panda_store::{
    Batch,
    query::task::{dag::add_page, dataset::TaskDataset},
};

use crate::EngineError;

/// Reads the file of a DAG; otherwise why the task can never be fed.
pub(super) async fn load(ops: &Ops, file: &str, most: i64) -> Result<Result<Arc<Dag>, String>, EngineError> {
    let name = file.to_owned();
    let Some(path) = ops.blobs.cache_path(file) else { return Ok(Err(format!("`dag` is {name}, which is no name of a file"))) };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let read = tokio::task::spawn_blocking(move || match std::fs::File::open(path) {
        Ok(file) => dag::read(file, most).map(Arc::new).map_err(|e| format!("the DAG {name} {e}")),
        Err(e) => Err(format!("the DAG {name} cannot be opened: {e}; upload it again and submit anew")),
    });
    read.await.map_err(|e| EngineError::Internal(format!("reading a DAG: {e}")))
}

/// Adds the pages that begin among the `n` rows that follow those of a data set.
pub(super) fn pages(batch: &mut Batch, dag: &Dag, before: &TaskDataset, n: usize) {
    let (from, to) = (before.n_files + 1, before.n_files + i64::try_from(n).unwrap_or(0));
    let mut first = page_of(from);
    if first < from {
        first += PAGE;
    }
    while first <= to {
        add_page(batch, before.id, first, &dag.page(first));
        first += PAGE;
    }
}

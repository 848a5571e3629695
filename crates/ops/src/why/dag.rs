//! What the nodes of a DAG wait for, and who keeps others from running.

use panda_core::file::FileState;
use panda_store::query::task::{
    dag::{self, Node},
    dataset::TaskDataset,
    file::{self, TaskFile},
};

use crate::{
    Ops, OpsError,
    task::dag::{page_of, read_page},
};

/// Nodes that are to blame, those that keep most from running first.
const BLAMED: i64 = 5;
/// Nodes that one waits for that are named.
const AWAITED: usize = 3;

/// Sentences on the DAG of a task; none when it has no DAG.
pub(super) async fn sentences(ops: &Ops, datasets: &[TaskDataset]) -> Result<Vec<String>, OpsError> {
    let Some(d) = datasets.iter().find(|d| d.is_dag()) else { return Ok(Vec::new()) };
    let mut said = Vec::new();
    if d.n_on_hold > 0 {
        said.push(waiting(ops, d).await?);
    }
    if d.n_failed > 0 {
        for b in dag::blamed(&ops.store, d.id, BLAMED).await? {
            let Some(f) = one(ops, d, b.seq).await? else { continue };
            let job = f.job_id.map_or_else(String::new, |j| format!(", job/{j}"));
            let how = if f.state == FileState::Cancelled { "was cancelled" } else { "failed" };
            said.push(format!("{} cannot run because node {} {how}{job}", nodes(b.nodes), f.lfn));
        }
    }
    Ok(said)
}

/// `1 node`, `7 nodes`.
fn nodes(n: i64) -> String {
    format!("{n} node{}", if n == 1 { "" } else { "s" })
}

async fn one(ops: &Ops, d: &TaskDataset, seq: i64) -> Result<Option<TaskFile>, OpsError> {
    Ok(file::page(&ops.store, d.id, seq - 1, 1).await?.into_iter().find(|f| f.seq == seq))
}

async fn waiting(ops: &Ops, d: &TaskDataset) -> Result<String, OpsError> {
    let all = format!("{} of its DAG wait{} for others", nodes(d.n_on_hold), if d.n_on_hold == 1 { "s" } else { "" });
    let Some(first) = dag::first_in(&ops.store, d.id, FileState::Pending, 1).await?.into_iter().next() else { return Ok(all) };
    let Some(node) = one(ops, d, first.seq).await? else { return Ok(all) };
    let awaited = awaited(ops, d, &first).await?;
    Ok(if awaited.is_empty() { all } else { format!("{all}; the first is {}, for {}", node.lfn, awaited.join(", ")) })
}

/// Those that a node waits for, with their states.
async fn awaited(ops: &Ops, d: &TaskDataset, n: &Node) -> Result<Vec<String>, OpsError> {
    let first = page_of(n.seq);
    let page = dag::pages(&ops.store, d.id, &[first]).await?;
    let Some((_, doc)) = page.first() else { return Ok(Vec::new()) };
    let stored = read_page(doc).map_err(OpsError::Internal)?;
    let on = usize::try_from(n.seq - first).ok().and_then(|at| stored.get(at)).map_or(&[][..], |s| s.on.as_slice());
    let mut told = Vec::new();
    for (seq, kind) in on.iter().take(panda_store::MAX_IN_LIST) {
        let Some(f) = one(ops, d, *seq).await?.filter(|f| !f.state.is_settled()) else { continue };
        told.push(format!("the {kind} of {} ({})", f.lfn, f.state));
        if told.len() == AWAITED {
            told.push("…".into());
            break;
        }
    }
    Ok(told)
}

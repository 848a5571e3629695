//! Tells a pilot of ours which jobs it was handed and has not ended: one that starts again learns of jobs whose hand-over it did not live to see.

use panda_access::{Principal, Right, table};
use panda_core::{id::JobId, job::state::JobState};
use panda_store::query::job;

use crate::{Ops, OpsError};

/// Most jobs of one answer; a worker has at most 1,024 slots.
pub const MAX_JOBS: i64 = 2_000;

/// Id and attempt of the queue's jobs that this node holds, by id. Role pilot.
pub async fn held(ops: &Ops, who: &Principal, queue: &str, node: &str) -> Result<Vec<(JobId, i64)>, OpsError> {
    table::allowed(Right::PilotAcquire, Some(who), None)?;
    let Some(queue) = ops.queue(queue).await? else { return Ok(Vec::new()) };
    let held = job::list::held(&ops.store, JobState::WITH_PILOT, queue.id, node, MAX_JOBS).await?;
    let Some(vo) = who.worker_vo() else { return Ok(held) };
    let ids: Vec<JobId> = held.iter().map(|(id, _)| *id).collect();
    let own: Vec<JobId> = job::list::many(&ops.store, &ids).await?.into_iter().filter(|j| j.vo == vo).map(|j| j.id).collect();
    Ok(held.into_iter().filter(|(id, _)| own.contains(id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, pilot};

    #[tokio::test]
    async fn only_what_this_node_was_handed() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let ours = w.job(&alice(), None, q, JobState::Activated).await;
        let ask = |node: &str| crate::pilot::acquire::Ask {
            queue: "LOCAL".into(),
            label: Some("unified".into()),
            node: Some(node.into()),
            n: 1,
            ..Default::default()
        };
        let got = crate::pilot::acquire::acquire(&w.ops, &pilot(), &ask("1@here")).await.unwrap();
        assert_eq!(got.len(), 1);
        assert_eq!(held(&w.ops, &pilot(), "LOCAL", "1@here").await.unwrap(), [(ours, 0)]);
        assert_eq!(held(&w.ops, &pilot(), "LOCAL", "2@here").await.unwrap(), []);
        assert_eq!(held(&w.ops, &pilot(), "NOWHERE", "1@here").await.unwrap(), []);
        assert!(matches!(held(&w.ops, &alice(), "LOCAL", "1@here").await, Err(OpsError::Denied(_))));
    }
}

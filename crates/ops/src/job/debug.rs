//! Debug mode: the pilot sends the tail of the payload's output with each, more frequent, heartbeat.

use panda_access::{Object, Principal, Right, table};
use panda_core::id::JobId;
use panda_store::{
    Batch,
    query::job::{self, JobRow},
};

use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Turns debug mode of a live job on or off; the answer is a sentence for people.
pub async fn set_debug_mode(ops: &Ops, who: &Principal, id: JobId, on: bool) -> Result<String, OpsError> {
    for _ in 0..MAX_CONFLICTS {
        let row = job::list::get(&ops.store, id).await?;
        let owner = match &row {
            Some(j) => Some(ops.person_by_id(j.person_id).await?),
            None => None,
        };
        table::allowed(Right::JobDebug, Some(who), row.as_ref().map(|j| Object::owned(owner.as_ref().map(|p| p.key()), &j.vo)))?;
        let Some(before) = row else { return Err(OpsError::NotFound(format!("job {id} not found"))) };
        if before.state.is_final() {
            return Err(OpsError::refused(format!("job {id} is {}; only live jobs can be debugged", before.state)));
        }
        if before.debug == on {
            return Ok("Succeeded".into());
        }
        let mut batch = Batch::new();
        job::transition::set(&mut batch, &before, &JobRow { debug: on, ..before.clone() }, ops.now().0);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok("Succeeded".into()),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("job {id} changes all the time; try again")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::job::state::JobState;

    #[tokio::test]
    async fn the_owner_turns_it_on_and_off() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Running).await;
        assert!(matches!(set_debug_mode(&w.ops, &bob(), j, true).await, Err(OpsError::Denied(_))));
        for on in [true, true, false] {
            assert_eq!(set_debug_mode(&w.ops, &alice(), j, on).await.unwrap(), "Succeeded");
            assert_eq!(w.job_row(j).await.debug, on);
        }
        let over = w.job(&alice(), None, q, JobState::Failed).await;
        assert!(set_debug_mode(&w.ops, &alice(), over, true).await.unwrap_err().to_string().contains("is failed"));
    }
}

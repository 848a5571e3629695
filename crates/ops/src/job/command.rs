//! Commands for the pilot of a job (`spec/api_v1.md` section 8, `job/set_command`): they travel with the answer to its next report.

use panda_access::{Object, Principal, Right, table};
use panda_core::{id::JobId, job::state::JobState};
use panda_store::{
    Batch,
    query::job::{self, JobRow},
};

use super::kill::TO_BE_KILLED;
use crate::{MAX_CONFLICTS, Ops, OpsError};

/// Longest command, characters (upstream's column width).
pub const MAX_COMMAND: usize = 250;
/// What is said of a command that was stored.
pub const RECEIVED: &str = "command received";

/// Stores a command, in place of an older one; an empty one takes the older one back. The answer is a sentence for people.
///
/// # Errors
/// A job that is not on its way to a pilot or with one, or is being killed; a command that pilots could not read.
pub async fn set(ops: &Ops, who: &Principal, id: JobId, command: &str) -> Result<&'static str, OpsError> {
    table::admit(Right::JobCommand, Some(who))?;
    check(command)?;
    for _ in 0..MAX_CONFLICTS {
        let row = job::list::get(&ops.store, id).await?;
        let owner = match &row {
            Some(j) => Some(ops.person_by_id(j.person_id).await?),
            None => None,
        };
        table::allowed(Right::JobCommand, Some(who), row.as_ref().map(|j| Object::owned(owner.as_ref().map(|p| p.key()), &j.vo)))?;
        let Some(before) = row.filter(|j| is_active(j.state)) else {
            return Err(OpsError::NotFound(format!("no active job with PandaID={id}")));
        };
        if before.command.as_deref().is_some_and(|c| c.contains(TO_BE_KILLED)) {
            return Err(OpsError::refused("job is being killed"));
        }
        let after = JobRow { command: (!command.is_empty()).then(|| command.to_owned()), ..before.clone() };
        if after.command == before.command {
            return Ok(RECEIVED);
        }
        let mut batch = Batch::new();
        job::transition::set(&mut batch, &before, &after, ops.now().0);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(RECEIVED),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::refused(format!("job {id} changes all the time; give the command again")))
}

/// States of jobs that upstream calls active: those that a pilot can get or has.
const fn is_active(state: JobState) -> bool {
    !state.is_final() && !matches!(state, JobState::Pending | JobState::Defined | JobState::Assigned | JobState::Waiting)
}

fn check(command: &str) -> Result<(), OpsError> {
    if command.chars().count() > MAX_COMMAND {
        return Err(OpsError::refused(format!("the command has more than {MAX_COMMAND} characters")));
    }
    if command.chars().any(char::is_control) {
        return Err(OpsError::refused("the command has control characters; pilots read one line"));
    }
    if command.split(',').any(|word| word.trim() == TO_BE_KILLED) {
        return Err(OpsError::refused(format!("`{TO_BE_KILLED}` ends a job; use job/kill, which asks who may")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kill;
    use crate::testing::{World, alice, prod};

    #[tokio::test]
    async fn the_pilot_gets_the_last_command() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Running).await;
        assert!(matches!(set(&w.ops, &alice(), j, "softkill").await, Err(OpsError::Denied(_))));
        assert_eq!(set(&w.ops, &prod(), j, "softkill").await.unwrap(), RECEIVED);
        assert_eq!(w.job_row(j).await.command.as_deref(), Some("softkill"));
        assert_eq!(set(&w.ops, &prod(), j, "").await.unwrap(), RECEIVED);
        assert_eq!(w.job_row(j).await.command, None);
        for wrong in ["tobekilled", "a\nb", "debug, tobekilled", &"x".repeat(251)] {
            assert!(set(&w.ops, &prod(), j, wrong).await.is_err(), "{wrong:?}");
        }
        kill::kill(&w.ops, &alice(), &[j], None, kill::Options::default()).await.unwrap();
        assert_eq!(set(&w.ops, &prod(), j, "softkill").await.unwrap_err().to_string(), "job is being killed");
        let over = w.job(&alice(), None, q, JobState::Finished).await;
        let said = set(&w.ops, &prod(), over, "softkill").await.unwrap_err().to_string();
        assert_eq!(said, format!("no active job with PandaID={over}"));
    }
}

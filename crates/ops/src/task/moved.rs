//! A task's change of state, with the news of it: what engine and commands use instead of the bare statement.

use panda_core::machine::Actor;
use panda_store::{
    Batch,
    query::task::{TaskRow, transition},
};

use crate::{Ops, OpsError, effect};

impl Ops {
    /// Moves `before` to the state of `after`, as [`transition::move_to`] does, and adds what people and receivers are to be told of it.
    pub async fn move_task(
        &self,
        batch: &mut Batch,
        before: &TaskRow,
        after: &TaskRow,
        actor: Actor,
        now_us: i64,
        reason: Option<&str>,
    ) -> Result<(), OpsError> {
        transition::move_to(batch, before, after, actor, now_us, reason)?;
        effect::task_moved(self, batch, before, after, actor, now_us, reason).await
    }
}

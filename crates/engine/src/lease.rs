//! The engine's lease: one process runs the loops of a database at a time, another takes over when it falls silent.
//!
//! Safety does not rest on the lease alone: every batch carries guards on the rows it was decided on, so that a process that has lost the
//! lease without knowing changes nothing that it did not read.

use panda_ops::Ops;
use panda_store::{Batch, query::snapshot};

use crate::EngineError;

/// Name of the lease.
pub const NAME: &str = "engine";
/// How long a holder may be silent before another takes over, microseconds.
pub const TTL_US: i64 = 30_000_000;

/// Takes or renews the lease for `holder`; `held` is the epoch that this process believes to hold. The answer is the epoch held now.
pub async fn keep(ops: &Ops, holder: &str, held: Option<i64>) -> Result<Option<i64>, EngineError> {
    let now = ops.now().0;
    let until = now + TTL_US;
    let mut batch = Batch::new();
    let epoch = match (snapshot::lease(&ops.store, NAME).await?, held) {
        (None, _) => {
            snapshot::lease_add(&mut batch, NAME, holder, until);
            1
        }
        (Some(lease), Some(epoch)) if lease.epoch == epoch => {
            snapshot::lease_renew(&mut batch, NAME, epoch, until);
            epoch
        }
        // A SQLite folder has one process: whoever held it is gone.
        (Some(lease), _) if lease.until_us < now || ops.store.dialect() == panda_store::stmt::Dialect::Sqlite => {
            snapshot::lease_take(&mut batch, NAME, holder, lease.epoch, until);
            lease.epoch + 1
        }
        (Some(_), _) => return Ok(None),
    };
    match ops.store.apply(batch).await {
        Ok(()) => Ok(Some(epoch)),
        Err(e) if e.is_conflict() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Gives the lease back, so that the next process need not wait.
pub async fn give_back(ops: &Ops, epoch: i64) {
    let mut batch = Batch::new();
    snapshot::lease_renew(&mut batch, NAME, epoch, 0);
    if let Err(e) = ops.store.apply(batch).await {
        tracing::debug!("the engine's lease was not given back: {e}");
    }
}

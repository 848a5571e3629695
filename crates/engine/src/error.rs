//! Why a step of a loop did not finish.

use panda_core::machine::IllegalTransition;
use panda_ops::OpsError;

/// Why a step did not finish; the loop tries again in its next period.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed, or a row changed under us.
    #[error(transparent)]
    Store(#[from] panda_store::Error),
    /// An operation failed.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// A defect of this program.
    #[error("internal: {0}")]
    Internal(String),
}

impl EngineError {
    /// The sentence of a plug-in that has not decided yet.
    #[must_use]
    pub fn waits(&self) -> Option<&str> {
        if let Self::Ops(e) = self { e.waits() } else { None }
    }
    /// Whether somebody else changed a row first: read and decide again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Store(e) => e.is_conflict(),
            Self::Ops(e) => e.is_conflict(),
            Self::Internal(_) => false,
        }
    }
}

impl From<IllegalTransition> for EngineError {
    fn from(e: IllegalTransition) -> Self {
        Self::Internal(e.to_string())
    }
}

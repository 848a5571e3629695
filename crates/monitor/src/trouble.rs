//! Why a page cannot be shown, and what the reader may do about it.

use panda_ops::OpsError;
use panda_store::Error as StoreError;

use crate::door::Refused;

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no such thing.
    #[error("{what}")]
    Missing {
        /// What is not there.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The URL makes no sense.
    #[error("{0}")]
    Bad(String),
    /// Its reader is not let in.
    #[error("{}", .0.what)]
    Refused(Refused),
    /// The database or a file failed; trying again may help.
    #[error("{0}")]
    Failed(String),
}

impl Trouble {
    /// A URL that makes no sense.
    pub(crate) fn bad(what: impl Into<String>) -> Self {
        Self::Bad(what.into())
    }
    /// Something that is not there.
    pub(crate) fn missing(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), hint: hint.into() }
    }
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        Self::Failed(e.to_string())
    }
}

impl From<OpsError> for Trouble {
    fn from(e: OpsError) -> Self {
        match e {
            OpsError::NotFound(what) => Self::missing(what, ""),
            e @ OpsError::Refused { .. } => Self::Bad(e.to_string()),
            e => Self::Failed(e.to_string()),
        }
    }
}

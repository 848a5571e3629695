//! Why an operation was not carried out.

use panda_access::Denied;
use panda_core::machine::IllegalTransition;
use panda_store::Error as StoreError;

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The caller may not.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// There is no such thing; the text is what the caller reads.
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense; the text says what was wrong and what to do. `code` is upstream's number where it has one.
    #[error("{message}")]
    Refused {
        /// Upstream's result code.
        code: Option<i64>,
        /// The text.
        message: String,
    },
    /// The database failed; the caller may try again.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    File {
        /// Which file, and what was tried.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A plug-in that has to decide has not, or not yet: one sentence that names it. What it decides waits.
    #[error("{0}")]
    Waits(String),
    /// A decision met a row it did not expect; a defect of this program.
    #[error("internal: {0}")]
    Internal(String),
}

impl OpsError {
    /// A refusal with a text.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { code: None, message: message.into() }
    }
    /// A refusal with upstream's code.
    #[must_use]
    pub fn coded(code: i64, message: impl Into<String>) -> Self {
        Self::Refused { code: Some(code), message: message.into() }
    }
    /// The sentence of [`Self::Waits`].
    #[must_use]
    pub fn waits(&self) -> Option<&str> {
        if let Self::Waits(reason) = self { Some(reason) } else { None }
    }
    /// Whether the caller should read and decide again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_conflict())
    }
}

impl From<IllegalTransition> for OpsError {
    fn from(e: IllegalTransition) -> Self {
        Self::Internal(e.to_string())
    }
}

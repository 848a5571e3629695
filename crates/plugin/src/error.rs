//! What a plug-in says when it did not do what it was asked: two kinds, which is all that callers decide on.

/// Why a plug-in did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It knows that there is no such thing: trying again changes nothing until somebody makes it.
    #[error("{0}")]
    Unknown(String),
    /// It could not say or do it now: one sentence. The same call is made again later.
    #[error("{reason}")]
    Later {
        /// What went wrong, for people.
        reason: String,
    },
}

impl Error {
    /// It could not be done now.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into() }
    }
}

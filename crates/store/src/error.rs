//! What can go wrong with a database, in sentences that say what to do.

use thiserror::Error;

/// A failure of one statement or batch.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// A guard of the batch failed: another writer was first. Read again and decide again.
    #[error("{0} met other values than expected")]
    Conflict(&'static str),
    /// A unique key exists already; carries the statement's name.
    #[error("{0} would make a second row with the same key")]
    Duplicate(&'static str),
    /// The backend failed.
    #[error("database: {statement}: {message}")]
    Backend {
        /// The statement's name, or the step.
        statement: &'static str,
        /// The backend's words.
        message: String,
        /// Whether the same unit may succeed when tried again (deadlock, lost connection before commit).
        retryable: bool,
    },
    /// A row could not be read as what it should be.
    #[error("database: {0}")]
    Decode(String),
    /// The store is shutting down.
    #[error("the database is closing")]
    Closed,
}

impl Error {
    /// A failure of the backend that trying again would not cure.
    pub(crate) fn backend(statement: &'static str, message: impl ToString) -> Self {
        Self::Backend { statement, message: message.to_string(), retryable: false }
    }
    /// Whether this is a failed guard or a duplicate key: somebody else was first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Duplicate(_))
    }
}

/// Why a database could not be opened; one clear sentence each.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL is not one of the three forms.
    #[error("database URL `{url}`: {problem}; use `sqlite:PATH`, `postgres://USER@HOST/DATABASE` or `mysql://USER@HOST/DATABASE`")]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// No connection.
    #[error("database {url} cannot be reached: {problem}")]
    Unreachable {
        /// The URL, without its password.
        url: String,
        /// The cause.
        problem: String,
    },
    /// The login was refused.
    #[error("database {url} refused the login: {problem}")]
    Login {
        /// The URL, without its password.
        url: String,
        /// The cause.
        problem: String,
    },
    /// A right is missing.
    #[error("database {url}: the user may not {right}; grant it (`{hint}`)")]
    Right {
        /// The URL, without its password.
        url: String,
        /// What was refused.
        right: String,
        /// The statement that would grant it.
        hint: String,
    },
    /// The schema is newer than this program.
    #[error("database {url} has schema {found}, this program knows up to {known}; use a newer `panda`")]
    Newer {
        /// The URL, without its password.
        url: String,
        /// Steps found.
        found: usize,
        /// Steps known.
        known: usize,
    },
    /// The schema is older than this program and the caller did not ask to migrate.
    #[error("database {url} has schema {found}, this program needs {known}; run `panda db migrate`")]
    Older {
        /// The URL, without its password.
        url: String,
        /// Steps found.
        found: usize,
        /// Steps known.
        known: usize,
    },
    /// A recorded step is not the step that this program knows: a development version made the schema.
    #[error(
        "database {url}: schema step {step} is not the one this program knows, a development version made it; start with an empty database"
    )]
    Differs {
        /// The URL, without its password.
        url: String,
        /// The first such step, from 1.
        step: usize,
    },
    /// Another process holds the SQLite folder.
    #[error("database {url} is in use by process {pid}; stop it first, or use PostgreSQL or MariaDB for several processes")]
    Locked {
        /// The URL.
        url: String,
        /// The holder's process id.
        pid: String,
    },
    /// A statement failed on the way.
    #[error("database {url}: {source}")]
    Statement {
        /// The URL, without its password.
        url: String,
        /// The failure.
        source: Error,
    },
}

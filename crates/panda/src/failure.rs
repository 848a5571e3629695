//! How a verb fails: one message, hints, and an exit code that tells the truth.
//!
//! Owns the exit codes and the shape of error output. Must not know any verb.

use panda_client::ClientError;

/// Exit codes of the program.
pub mod exit {
    /// All went well; of `run` and `status`: done.
    pub const OK: u8 = 0;
    /// The verb failed.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// `run`, `status`: some of the task's input was processed, some was not.
    pub const PARTLY: u8 = 3;
    /// `run`, `status`: the task or job failed, was ended, or cannot go on.
    pub const TASK_FAILED: u8 = 4;
    /// `run`, `status`: not at its end yet when the wait was over.
    pub const TIMED_OUT: u8 = 5;
}

/// Why a verb ended without success. Messages are lower case; commands in them stand in backticks.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What was wrong.
    pub message: String,
    /// What to do, one line each.
    pub hints: Vec<String>,
    /// Whether the same may succeed a moment later: the server is away.
    pub transient: bool,
}

impl Failure {
    /// A failure of the verb itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: exit::FAILED, message: message.into(), hints: Vec::new(), transient: false }
    }

    /// A mistake of the caller.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, ..Self::new(message) }
    }

    /// Adds a line on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Prints it on standard error, as text or as one JSON object.
    pub fn print(&self, json: bool) {
        if json {
            let error = serde_json::json!({ "error": { "message": self.message, "hints": self.hints, "exit_code": self.code } });
            eprintln!("{error}");
            return;
        }
        eprintln!("error: {}", self.message);
        for hint in &self.hints {
            eprintln!("hint: {hint}");
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self { transient: error.is_transient(), ..Self::new(error.to_string()) };
        match &error {
            ClientError::Unreachable { .. } => {
                failure.hint("start a server with `panda up`, or name another with `--server URL` or `PANDA_URL_SSL`")
            }
            ClientError::Refused { status: 401 | 403, .. } => {
                failure.hint("`panda whoami` shows who you are; `panda token --user NAME --vo VO` makes a development token")
            }
            ClientError::BadUrl { .. } => Self { code: exit::USAGE, ..failure },
            _ => failure,
        }
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let failure = Self::usage(error.to_string());
        hint.into_iter().fold(failure, Self::hint)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}

/// Adds the name of a file to an I/O error.
pub(crate) fn io<'a>(what: &'a str, path: &'a std::path::Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |error| Failure::new(format!("cannot {what} `{}`: {error}", path.display()))
}

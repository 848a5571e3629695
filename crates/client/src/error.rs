//! What can go wrong with a call, in words that say what to do next.

use std::path::PathBuf;

/// A call that gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The configured address cannot be one of a server.
    #[error("`{url}` is not a server address: {reason} (expected something like http://127.0.0.1:25080)")]
    BadUrl {
        /// The text that was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection could be made, so the server has seen nothing.
    #[error("cannot reach the server at {url}: {reason}; is it running, and is the address right?")]
    Unreachable {
        /// The address of the call.
        url: String,
        /// The innermost cause, e.g. `Connection refused (os error 111)`.
        reason: String,
    },
    /// The connection broke or timed out; the server may have acted.
    #[error("the call to {url} broke off: {reason}")]
    Broken {
        /// The address of the call.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server answered with a status that is not 2xx.
    #[error("the server refused {url} with status {status}: {text}{}", hint(*status))]
    Refused {
        /// The address of the call.
        url: String,
        /// HTTP status.
        status: u16,
        /// The start of the text that came with it.
        text: String,
    },
    /// A 2xx answer that is not JSON, or not the JSON that was expected.
    #[error("{url} did not answer as a PanDA server does: {reason}; it began `{start}`")]
    NotJson {
        /// The address of the call.
        url: String,
        /// What the parser said.
        reason: String,
        /// The start of the answer.
        start: String,
    },
    /// The answer is larger than [`crate::client::MAX_ANSWER_BYTES`].
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge {
        /// The address of the call.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// An envelope with `success` false.
    #[error("{message}")]
    Unsuccessful {
        /// The server's own words.
        message: String,
    },
    /// A local file could not be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP or TLS machinery could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
}

impl ClientError {
    /// HTTP status of a refusal, if the server answered with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server certainly has not seen the call.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (check the token, its expiry and the VO given as origin)",
        404 => " (is this the root address of a PanDA server?)",
        413 => " (the body is larger than the server takes)",
        429 => " (too many calls; wait and try again)",
        _ => "",
    }
}

/// The innermost cause, which is the one that helps: `Connection refused`.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

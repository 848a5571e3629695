//! What can be wrong with a configuration: file, line, key, and what would be right.

use std::path::PathBuf;

use super::keys;
use super::origin::Origin;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named cannot be read.
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{}:{line}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's words.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{}:{line}: unknown key `{key}`", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key with its table.
        key: String,
        /// What to do.
        hint: String,
    },
    /// A value of the wrong type or out of bounds.
    #[error("{origin}: `{key}` is {found}, but must be {expected}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A plug-in without what it must have.
    #[error("{}:{line}: `[plugin.{name}]` has no `{key}`", path.display())]
    Plugin {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// A key that needs another one.
    #[error("{origin}: `{other}` needs `{key}` beside it")]
    Half {
        /// The key that is missing.
        key: &'static str,
        /// Where the other one stands.
        origin: Origin,
        /// The key that is set.
        other: &'static str,
    },
    /// There is no place for the data folder.
    #[error("no data folder: neither `--data`, `data` in the configuration, `XDG_DATA_HOME` nor `HOME` is set")]
    NoData,
}

impl ConfigError {
    pub(super) fn wrong(key: &str, origin: Origin, found: &str) -> Self {
        let known = key.rsplit_once('.').and_then(|(table, name)| table.starts_with("plugin.").then(|| keys::find_plugin(name))?);
        let expected = keys::find(key).or(known).map(|key| key.kind.expected()).unwrap_or_default();
        Self::Value { origin, key: key.to_owned(), found: format!("`{found}`"), expected }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unknown { hint, .. } => Some(hint),
            Self::Plugin { .. } => Some("a plug-in needs `kind` and `command`; docs/plugins.md has an example"),
            Self::Half { .. } => Some("docs/tls.md says which settings belong together"),
            _ => None,
        }
    }
}

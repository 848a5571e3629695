//! Values with their origins.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::ConfigError;
use super::keys::{self, KEYS};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the configuration file, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(&'static str),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// A value as text, one item for all types but lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The items.
    pub items: Vec<String>,
    /// Where they came from.
    pub origin: Origin,
}

/// All settings, by key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    map: BTreeMap<&'static str, Setting>,
    plugins: BTreeMap<String, Settings>,
}

impl Settings {
    /// Sets a value, over what was there.
    pub(super) fn set(&mut self, path: &'static str, items: Vec<String>, origin: Origin) {
        self.map.insert(path, Setting { items, origin });
    }

    /// The table of a plug-in.
    pub(super) fn plugin(&mut self, name: &str) -> &mut Self {
        self.plugins.entry(name.to_owned()).or_default()
    }

    /// Plug-ins by name, each with its own keys.
    pub fn plugins(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.plugins.iter().map(|(name, table)| (name.as_str(), table))
    }

    /// The setting of a key, if anybody or a default sets it.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Setting> {
        self.map.get(path)
    }

    /// Keys with their settings, in the order of the list of keys; unset ones have none.
    pub fn iter(&self) -> impl Iterator<Item = (&'static keys::Key, Option<&Setting>)> {
        KEYS.iter().map(|key| (key, self.map.get(key.path)))
    }

    pub(super) fn optional(&self, path: &str) -> Option<String> {
        self.map.get(path).and_then(|setting| setting.items.first().cloned())
    }

    pub(super) fn text(&self, path: &str) -> String {
        self.optional(path).unwrap_or_default()
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        self.map.get(path).map(|setting| setting.items.clone()).unwrap_or_default()
    }

    pub(super) fn bool(&self, path: &str) -> bool {
        self.text(path) == "true"
    }

    pub(super) fn int(&self, path: &str) -> i64 {
        self.text(path).parse().unwrap_or_default()
    }

    pub(super) fn address(&self, path: &'static str) -> Result<SocketAddr, ConfigError> {
        let text = self.text(path);
        text.parse().map_err(|_| ConfigError::wrong(path, self.origin(path), &text))
    }

    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, path: &str) -> Origin {
        self.map.get(path).map_or(Origin::Default, |setting| setting.origin.clone())
    }
}

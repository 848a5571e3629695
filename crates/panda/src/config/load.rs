//! Reads defaults, file, environment and options, each over the one before.
//!
//! Owns where the file is looked for and how its values are checked. Must not know what values mean.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key, Kind, PLUGIN_KEYS};
use super::{Config, ConfigError, Origin, Settings};

/// Largest configuration file; real ones have a few kB.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest name of a plug-in: what the catalogue has room for.
const MAX_PLUGIN_NAME: usize = 60;
/// Where a packaged installation keeps the file.
const SYSTEM_FILE: &str = "/etc/panda/panda.toml";

/// What was given from outside: options, environment, and the file's name.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Environment, by name.
    pub environment: BTreeMap<String, String>,
    /// Options: key, items, name of the option.
    pub options: Vec<(&'static str, Vec<String>, &'static str)>,
}

impl Given {
    /// What this process was given, without options yet.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>) -> Self {
        // Names or values that are no UTF-8 cannot be ours.
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { file, environment: environment.collect(), options: Vec::new() }
    }

    /// Sets a key by an option.
    #[must_use]
    pub fn option(mut self, key: &'static str, value: Option<String>, name: &'static str) -> Self {
        self.options.extend(value.map(|value| (key, vec![value], name)));
        self
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The file to read: the one named, else the first that exists.
    fn find_file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.file {
            return Some(file.clone());
        }
        if let Some(file) = self.var("PANDA_CONFIG") {
            return Some(PathBuf::from(file));
        }
        let home = self.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| self.var("HOME").map(|home| Path::new(home).join(".config")));
        let own = home.map(|folder| folder.join("panda/panda.toml"));
        own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]).find(|file| file.is_file())
    }

    fn default_data(&self) -> Option<PathBuf> {
        let share = || self.var("HOME").map(|home| Path::new(home).join(".local/share"));
        self.var("XDG_DATA_HOME").map(PathBuf::from).or_else(share).map(|folder| folder.join("panda"))
    }
}

/// Reads the configuration.
///
/// # Errors
/// [`ConfigError`] with file, line and key.
pub fn load(given: &Given) -> Result<Config, ConfigError> {
    let mut settings = Settings::default();
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        settings.set(key.path, vec![key.default.to_owned()], Origin::Default);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    settings.set("worker.slots", vec![cores.to_string()], Origin::Default);
    if let Some(file) = given.find_file() {
        read_file(&file, given, &mut settings)?;
    }
    for key in KEYS {
        if let Some((name, value)) = key.env.iter().find_map(|name| Some((*name, given.var(name)?))) {
            let origin = Origin::Environment(name);
            let items = checked(key, key.path, vec![value.to_owned()], &origin)?;
            settings.set(key.path, items, origin);
        }
    }
    for (path, items, name) in &given.options {
        let Some(key) = keys::find(path) else { continue };
        let origin = Origin::Option(name);
        settings.set(key.path, checked(key, key.path, items.clone(), &origin)?, origin);
    }
    if settings.get("data").is_none() {
        let data = given.default_data().ok_or(ConfigError::NoData)?;
        settings.set("data", vec![data.display().to_string()], Origin::Default);
    }
    Config::from_settings(settings)
}

fn read_file(path: &Path, given: &Given, settings: &mut Settings) -> Result<(), ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(&text, span.start)),
        problem: error.message().to_owned(),
    })?;
    let reader = Reader { path, text: &text, home: given.var("HOME") };
    reader.table("", table.get_ref(), settings)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    home: Option<&'a str>,
}

impl Reader<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>, settings: &mut Settings) -> Result<(), ConfigError> {
        for (name, value) in table.iter() {
            let line = line_of(self.text, name.span().start);
            let path = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            match (keys::find(&path), value.get_ref()) {
                (Some(key), _) => {
                    let origin = Origin::File(self.path.to_owned(), line);
                    let items = self.items(key, key.path, value, &origin)?;
                    settings.set(key.path, checked(key, key.path, items, &origin)?, origin);
                }
                (None, DeValue::Table(inner)) if path == keys::PLUGIN => self.plugins(inner, settings)?,
                (None, DeValue::Table(inner)) if keys::is_table(&path) => self.table(&path, inner, settings)?,
                (None, value) => {
                    let hint = hint(&path, matches!(value, DeValue::Table(_)));
                    return Err(ConfigError::Unknown { path: self.path.to_owned(), line, key: path, hint });
                }
            }
        }
        Ok(())
    }

    /// The tables `[plugin.NAME]`.
    fn plugins(&self, tables: &DeTable<'_>, settings: &mut Settings) -> Result<(), ConfigError> {
        for (name, table) in tables.iter() {
            let (line, name) = (line_of(self.text, name.span().start), name.get_ref().to_string());
            let unknown =
                |line, key: String, hint: &str| ConfigError::Unknown { path: self.path.to_owned(), line, key, hint: hint.to_owned() };
            let DeValue::Table(table) = table.get_ref() else {
                return Err(unknown(line, format!("plugin.{name}"), "each plug-in has a table of its own: `[plugin.NAME]`"));
            };
            if name.is_empty()
                || name.len() > MAX_PLUGIN_NAME
                || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            {
                return Err(unknown(line, format!("plugin.{name}"), "names of plug-ins are letters, digits, `_` and `-`"));
            }
            let plugin = settings.plugin(&name);
            for key in PLUGIN_KEYS.iter().filter(|key| !key.default.is_empty()) {
                plugin.set(key.path, vec![key.default.to_owned()], Origin::Default);
            }
            for (key_name, value) in table.iter() {
                let (line, full) = (line_of(self.text, key_name.span().start), format!("plugin.{name}.{}", key_name.get_ref()));
                let Some(key) = keys::find_plugin(key_name.get_ref()) else {
                    let all: Vec<&str> = PLUGIN_KEYS.iter().map(|key| key.path).collect();
                    return Err(unknown(line, full, &format!("a plug-in has {}", all.join(", "))));
                };
                let origin = Origin::File(self.path.to_owned(), line);
                let items = checked(key, &full, self.items(key, &full, value, &origin)?, &origin)?;
                if let Some(bad) = items.iter().find(|item| key.path == "env" && !item.contains('=')) {
                    return Err(ConfigError::wrong(&full, origin, bad));
                }
                plugin.set(key.path, items, origin);
            }
            if let Some(key) = ["kind", "command"].into_iter().find(|key| plugin.get(key).is_none()) {
                return Err(ConfigError::Plugin { path: self.path.to_owned(), line, name, key });
            }
        }
        Ok(())
    }

    /// The items of a value of the right type; `name` is the whole name of its key.
    fn items(&self, key: &Key, name: &str, value: &Spanned<DeValue<'_>>, origin: &Origin) -> Result<Vec<String>, ConfigError> {
        let found = || self.text.get(value.span()).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        let wrong = || ConfigError::wrong(name, origin.clone(), &found());
        match (key.kind, value.get_ref()) {
            (Kind::Int(..), DeValue::Integer(number)) => Ok(vec![number.as_str().replace('_', "")]),
            (Kind::Bool, DeValue::Boolean(flag)) => Ok(vec![flag.to_string()]),
            (Kind::Texts, DeValue::Array(array)) => {
                array.iter().map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            (Kind::Path, DeValue::String(text)) if !text.trim().is_empty() => Ok(vec![self.resolve(text).display().to_string()]),
            (Kind::Text | Kind::Word(_) | Kind::Address, DeValue::String(text)) => Ok(vec![text.to_string()]),
            _ => Err(wrong()),
        }
    }

    /// A path as meant: `~/` is the home folder, else relative to the file it stands in.
    fn resolve(&self, text: &str) -> PathBuf {
        if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), self.home) {
            return Path::new(home).join(rest);
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        folder.join(text)
    }
}

/// What somebody may have meant by an unknown name.
fn hint(path: &str, is_table: bool) -> String {
    if keys::is_table(path) {
        return format!("`{path}` is a table: write `[{path}]` and its keys below");
    }
    let near = if is_table { keys::nearest_table(path).map(|table| format!("[{table}]")) } else { keys::nearest(path).map(str::to_owned) };
    near.map_or_else(|| "`panda config show` lists every key".to_owned(), |near| format!("did you mean `{near}`?"))
}

/// Checks bounds, words, and that nothing is empty.
fn checked(key: &Key, name: &str, items: Vec<String>, origin: &Origin) -> Result<Vec<String>, ConfigError> {
    for item in &items {
        let good = match key.kind {
            Kind::Text | Kind::Path | Kind::Texts => !item.trim().is_empty(),
            Kind::Word(words) => words.contains(&item.as_str()),
            Kind::Address => item.parse::<std::net::SocketAddr>().is_ok(),
            Kind::Int(low, high) => item.parse::<i64>().is_ok_and(|number| (low..=high).contains(&number)),
            Kind::Bool => matches!(item.as_str(), "true" | "false"),
        };
        if !good {
            return Err(ConfigError::wrong(name, origin.clone(), item));
        }
    }
    if key.kind == Kind::Path
        && let Some(item) = items.first()
    {
        // Never relative to wherever a later part of the program happens to stand.
        let path = std::path::absolute(item).unwrap_or_else(|_| PathBuf::from(item));
        return Ok(vec![path.display().to_string()]);
    }
    Ok(items)
}

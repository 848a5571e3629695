//! The configuration: one TOML file, every key optional, unknown keys refused, and each value knows where it came from.
//!
//! Owns the keys ([`keys`]), reading ([`load`]), and the typed result [`Config`]. Must not know verbs. To add a key: a row in `keys.rs`, a
//! field here, a line in [`Config::from_settings`].

mod error;
pub mod keys;
mod load;
mod origin;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::ConfigError;
pub use load::{Given, load};
pub use origin::{Origin, Setting, Settings};
pub use tls::{TlsConfig, X509Config};

/// Everything that can be configured, read and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder: database, key, storage, sandboxes, journal.
    pub data: PathBuf,
    /// Address of the database: `sqlite:PATH`, `postgres://...`, `mysql://...`.
    pub database: String,
    /// Configured VOs, lower case. Empty: any VO that a development token names.
    pub vos: Vec<String>,
    /// What is listened on.
    pub server: ServerConfig,
    /// Callers by certificate.
    pub x509: X509Config,
    /// Who may read the pages.
    pub monitor: Access,
    /// The local worker of `up` and `demo`.
    pub worker: WorkerConfig,
    /// The loops.
    pub engine: EngineConfig,
    /// Bounds on what users may have.
    pub limits: LimitsConfig,
    /// What verbs that talk to a server use.
    pub client: ClientConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Plug-ins that run as child processes.
    pub plugins: Vec<PluginConfig>,
    /// Every key with its value and origin.
    pub settings: Settings,
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Address under which others reach the server; the listener's own when absent.
    pub public_url: Option<String>,
    /// The listener with TLS, if there is one.
    pub tls: Option<TlsConfig>,
}

/// `monitor.access`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the listener.
    Public,
    /// People of any VO.
    Members,
    /// Operators.
    Operators,
}

impl Access {
    fn of(word: &str) -> Self {
        match word {
            "public" => Self::Public,
            "members" => Self::Members,
            // Where a word were new and not written here, few are let in rather than all.
            _ => Self::Operators,
        }
    }
}

/// `[worker]`
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Whether `up` runs a worker.
    pub enabled: bool,
    /// The queue it serves; made at the first start when there is none.
    pub queue: String,
    /// Jobs at a time.
    pub slots: usize,
}

/// `[engine]`
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Longest time between two steps of a loop that nobody woke.
    pub period: Duration,
}

/// `[limits]`
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Most active tasks a person may have.
    pub active_tasks: i64,
    /// Most requests of one identity a minute; 0 = no limit.
    pub requests_per_minute: i64,
    /// Attempts of a task's input when the task does not say.
    pub attempts: i64,
}

/// `[client]`
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Address of the server, when it is not the one of this data folder.
    pub server: Option<String>,
    /// The VO to act for.
    pub vo: Option<String>,
    /// The user name in development tokens.
    pub user: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Filter, as `info` or `panda_engine=debug,info`.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
}

/// `[plugin.NAME]`
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: panda_plugin::Kind,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub dir: Option<PathBuf>,
    /// Time for one answer.
    pub deadline: Duration,
    /// Calls under way at one time.
    pub calls: usize,
}

impl PluginConfig {
    fn of(name: &str, s: &Settings) -> Option<Self> {
        let env = s.texts("env").into_iter().filter_map(|item| item.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())));
        Some(Self {
            name: name.to_owned(),
            kind: panda_plugin::Kind::parse(&s.text("kind"))?,
            command: std::iter::once(s.text("command")).chain(s.texts("args")).collect(),
            env: env.collect(),
            dir: s.optional("dir").map(PathBuf::from),
            deadline: Duration::from_secs(u64::try_from(s.int("deadline_s")).unwrap_or(1)),
            calls: usize::try_from(s.int("calls")).unwrap_or(1),
        })
    }

    /// How its process is run.
    #[must_use]
    pub fn options(&self) -> panda_plugin::host::Options {
        panda_plugin::host::Options {
            env: self.env.clone(),
            dir: self.dir.clone(),
            deadline: self.deadline,
            max_in_flight: self.calls,
            ..panda_plugin::host::Options::new(self.kind, &self.name, self.command.clone())
        }
    }
}

impl Config {
    /// Makes typed values of settings whose types were checked when they were read.
    fn from_settings(settings: Settings) -> Result<Self, ConfigError> {
        let s = &settings;
        let positive = |key| Duration::from_secs(u64::try_from(s.int(key)).unwrap_or(1));
        let data = PathBuf::from(s.text("data"));
        let database = s.optional("database").unwrap_or_else(|| default_database(&data));
        let vos = s.texts("vos").into_iter().map(|vo| vo.trim().to_ascii_lowercase()).collect();
        Ok(Self {
            database,
            vos,
            server: ServerConfig {
                listen: s.address("server.listen")?,
                public_url: s.optional("server.public_url").map(|url| url.trim_end_matches('/').to_owned()),
                tls: TlsConfig::of(s)?,
            },
            x509: X509Config::of(s)?,
            monitor: Access::of(&s.text("monitor.access")),
            worker: WorkerConfig {
                enabled: s.bool("worker.enabled"),
                queue: s.text("worker.queue"),
                slots: usize::try_from(s.int("worker.slots")).unwrap_or(1),
            },
            engine: EngineConfig { period: positive("engine.period_s") },
            limits: LimitsConfig {
                active_tasks: s.int("limits.active_tasks"),
                requests_per_minute: s.int("limits.requests_per_minute"),
                attempts: s.int("limits.attempts"),
            },
            client: ClientConfig { server: s.optional("client.server"), vo: s.optional("client.vo"), user: s.optional("client.user") },
            log: LogConfig { level: s.text("log.level"), json: s.text("log.format") == "json" },
            data,
            plugins: settings.plugins().filter_map(|(name, table)| PluginConfig::of(name, table)).collect(),
            settings,
        })
    }

    /// The VO of a development token when nobody names one.
    #[must_use]
    pub fn default_vo(&self) -> String {
        self.client.vo.clone().or_else(|| self.vos.first().cloned()).unwrap_or_else(|| keys::DEFAULT_VO.to_owned())
    }

    /// The user of a development token when nobody names one: configured, else the login name.
    #[must_use]
    pub fn default_user(&self) -> String {
        let login = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        self.client.user.clone().or_else(login).unwrap_or_else(|| "user".to_owned())
    }

    /// Whether a VO (lower case) is configured here; with none configured every VO is.
    #[must_use]
    pub fn knows_vo(&self, vo: &str) -> bool {
        self.vos.is_empty() || self.vos.iter().any(|known| known == vo)
    }

    /// The folder in which the local queue keeps files.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.data.join("storage")
    }

    /// The file that tells the address of the server that runs on this data folder.
    #[must_use]
    pub fn address_file(&self) -> PathBuf {
        self.data.join("server.url")
    }
}

/// The embedded database of a data folder.
fn default_database(data: &Path) -> String {
    format!("sqlite:{}", data.join("panda.db").display())
}

//! [`Server::builder`]: the whole system as a value, for `up`, `demo`, tests, and programs of an experiment's own.
//!
//! ```no_run
//! # async fn example() -> Result<(), panda::Failure> {
//! let config = panda::config::load(&panda::config::Given::from_process(None))?;
//! let running = panda::Server::builder(config).start().await?;
//! println!("ready at {}", running.url());
//! running.until_signal().await
//! # }
//! ```

use std::sync::Arc;

use axum::Router;
use panda_access::Identity;
use panda_ops::Ops;
use panda_plugin::Registry;

use crate::config::Config;
use crate::failure::Failure;
use crate::up::{self, Running};

/// Makes routes of the operations, for [`Builder::routes`].
pub type MakeRoutes = Box<dyn FnOnce(&Arc<Ops>) -> Router + Send>;

/// What a process does. All, unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a set of independent switches")]
pub struct Roles {
    /// The API.
    pub server: bool,
    /// The loops.
    pub engine: bool,
    /// The pages.
    pub monitor: bool,
    /// Running jobs here.
    pub worker: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self { server: true, engine: true, monitor: true, worker: true };
}

/// The system, before it runs. See the module's example.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts with a configuration.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        let roles = Roles { worker: config.worker.enabled, ..Roles::ALL };
        Builder { config, roles, migrate: true, identity: None, routes: None, plugins: Registry::default(), free_port: false }
    }
}

/// Settings of a system; made by [`Server::builder`].
pub struct Builder {
    pub(crate) config: Config,
    pub(crate) roles: Roles,
    pub(crate) migrate: bool,
    pub(crate) identity: Option<Arc<dyn Identity>>,
    pub(crate) routes: Option<MakeRoutes>,
    pub(crate) plugins: Registry,
    pub(crate) free_port: bool,
}

impl Builder {
    /// What the process does.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Whether missing schema steps are applied; without, an old schema is refused.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Who callers are, in place of the development issuer.
    #[must_use]
    pub fn identity(mut self, identity: Arc<dyn Identity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// More pages or endpoints; they must not begin with `/api`, `/server`, `/cache`, `/trf` or `/auth`.
    #[must_use]
    pub fn routes(mut self, make: MakeRoutes) -> Self {
        self.routes = Some(make);
        self
    }

    /// Plug-ins that are part of the program, by name, besides those that the configuration starts as child processes; settings `plugin.…` choose
    /// among them all. A name that the configuration has, too, is the configuration's.
    #[must_use]
    pub fn plugins(mut self, plugins: Registry) -> Self {
        self.plugins = plugins;
        self
    }

    /// Takes any free port when the configured one is taken.
    #[must_use]
    pub fn free_port(mut self) -> Self {
        self.free_port = true;
        self
    }

    /// Starts it; it is ready when this returns.
    ///
    /// # Errors
    /// A [`Failure`] that says what to do: a port that is taken, a database that cannot be opened, a folder that cannot be written.
    pub async fn start(self) -> Result<Running, Failure> {
        up::start(self).await
    }
}

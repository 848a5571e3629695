//! Ties the rooms together: store, operations, API, pages, loops, worker.
//!
//! Owns the order of starting and ending. What ends first is what depends on the rest: worker, loops, API, database. Must not know any verb.

mod idp;
mod listen;
mod pages;
pub(crate) mod plugin;
mod queue;
mod signal;
mod tls;
mod worker;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use panda_access::dev::Issuer;
use panda_access::x509::Certificates;
use panda_engine::{Engine, EngineOptions};
use panda_ops::Ops;
use panda_ops::clock::SystemClock;
use panda_server::{ServerState, ctx, file_server, limit::Limits, serve, trust::Trusted};
use panda_store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::idp::Providers;
use crate::builder::Builder;
use crate::config::Config;
use crate::failure::{Failure, io};
use crate::session;
use crate::verb::db;

pub(crate) use signal::wait as signal;

/// A running system.
pub struct Running {
    url: String,
    address: SocketAddr,
    ops: Arc<Ops>,
    config: Config,
    engine: Option<Arc<Engine>>,
    worker: Option<worker::Worker>,
    server: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
}

/// Starts what the builder was told to.
pub(crate) async fn start(mut builder: Builder) -> Result<Running, Failure> {
    let config = builder.config.clone();
    let roles = builder.roles;
    make_private_folder(&config.data)?;
    // First the port: it is the commonest obstacle, and nothing is to be undone when it is there.
    let listener = listen::bind(config.server.listen, builder.free_port).await?;
    let address = listener.local_addr().map_err(|error| Failure::new(format!("the listener has no address: {error}")))?;
    let certificates = tls::certificates(&config)?;
    let secure = tls::TlsListener::open(&config, certificates.clone()).await?;
    let issuer = session::issuer(&config)?;
    let ops = open_ops(&builder, address, &issuer).await?;
    let providers = Arc::new(providers(&builder, &ops, &issuer, address, certificates.clone()).await?);
    let identity = builder.identity.take().unwrap_or_else(|| providers.clone());
    let told = providers.clone();
    let trusted = Trusted::new(ops.clone(), identity, Some(Box::new(move |grants| told.set_grants(grants)))).await;
    let trusted = Arc::new(trusted.map_err(|e| Failure::from(anyhow::Error::new(e)))?);
    if roles.server || roles.worker {
        queue::ensure(&ops, &config).await?;
    }
    let engine = roles.engine.then(|| Arc::new(Engine::start(ops.clone(), engine_options(&config))));
    let pages = pages::state(&ops, engine.as_ref());
    let routes = routes(&mut builder, &ops, trusted.clone(), providers.clone(), address, pages)?;
    let (stop, stopped) = watch::channel(false);
    if roles.server || roles.monitor {
        tokio::spawn(providers.follow(stopped.clone()));
        certificates.map(|certificates| tokio::spawn(tls::follow(certificates, stopped.clone())));
        tokio::spawn(trusted.follow(stopped.clone()));
    }
    let server = tokio::spawn(tls::serve(listener, secure, routes, stopped));
    let url = format!("http://{address}");
    let worker = if roles.worker { Some(worker::start(&config, &url, issuer)?) } else { None };
    listen::announce(&config, &url)?;
    Ok(Running { url, address, ops, config, engine, worker, server, stop })
}

/// Who callers are. A listener that others reach needs an identity provider, unless the program brings its own.
async fn providers(
    builder: &Builder,
    ops: &Arc<Ops>,
    issuer: &Arc<Issuer>,
    address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
) -> Result<Providers, Failure> {
    let (dev, refusal) = match issuer.for_listener(address) {
        Ok(dev) => (Some(dev), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let failed = |e: panda_ops::OpsError| Failure::from(anyhow::Error::new(e));
    let providers = Providers::new(ops.clone(), issuer.clone(), dev, certificates).await.map_err(failed)?;
    match refusal {
        Some(refusal) if builder.identity.is_none() && providers.is_empty() => {
            Err(Failure::usage(refusal.to_string()).hint("`panda vo add NAME --idp URL --client-id ID` while it listens on 127.0.0.1"))
        }
        _ => Ok(providers),
    }
}

/// The database and what works on it.
async fn open_ops(builder: &Builder, address: SocketAddr, issuer: &Arc<Issuer>) -> Result<Arc<Ops>, Failure> {
    let config = &builder.config;
    if builder.migrate {
        db::make_folder(&config.database)?;
    }
    let store = Store::open(&config.database, builder.migrate).await.map_err(db::failure)?;
    let base = config.server.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let mut options = panda_ops::Options::new(&base, config.data.clone());
    options.vos.clone_from(&config.vos);
    options.max_active_tasks = config.limits.active_tasks;
    options.max_attempt = config.limits.attempts;
    let mut ops = Ops::new(store, Arc::new(SystemClock), options);
    let issuer = Arc::clone(issuer);
    ops.sign = Some(Arc::new(move |claims| issuer.sign_payload(claims).map_err(|e| e.to_string())));
    ops.plugins = builder.plugins.clone();
    plugin::register(&ops.plugins, &config.plugins);
    ops.blobs.create().map_err(io("make folders below", &config.data))?;
    Ok(Arc::new(ops))
}

/// All that the listener serves.
fn routes(
    builder: &mut Builder,
    ops: &Arc<Ops>,
    trusted: Arc<Trusted>,
    auth: Arc<Providers>,
    address: SocketAddr,
    mut pages: panda_monitor::MonitorState,
) -> Result<Router, Failure> {
    let config = &builder.config;
    let runner = std::env::current_exe().map_err(|error| Failure::new(format!("the running program is not to be found: {error}")))?;
    let state = Arc::new(ServerState {
        ops: ops.clone(),
        identity: trusted.clone(),
        bans: trusted,
        limits: Limits::new(config.limits.requests_per_minute),
        files: file_server::store(ops),
        auth,
        observer: Arc::new(ctx::NoObserver),
        options: ctx::Options {
            listen: address,
            public_url: config.server.public_url.clone(),
            forwarded: config.x509.forwarded.clone(),
            upload_folder: ops.blobs.incoming(),
            runner: Some(runner),
        },
    });
    pages.door = pages::door(&state, config.monitor);
    let mut router = Router::new();
    if builder.roles.server {
        router = router.merge(serve::router(state.clone()));
    }
    if builder.roles.monitor {
        router = router.merge(panda_monitor::router(pages.clone()));
    }
    if let Some(make) = builder.routes.take() {
        router = router.merge(make(ops));
    }
    // What nobody else answers: the API's words where there is an API; a process without it takes no calls that could change anything.
    Ok(if builder.roles.server { serve::fallback(router, state) } else { panda_monitor::fallback(router, pages) })
}

fn engine_options(config: &Config) -> EngineOptions {
    // What the name has room for beside the process's number.
    let host: String = rustix::system::uname().nodename().to_string_lossy().chars().take(38).collect();
    EngineOptions { period: config.engine.period, ..EngineOptions::new(format!("{host}:{}", std::process::id())) }
}

/// The data folder holds a key and people's files: it is its owner's alone when we make it.
fn make_private_folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make the data folder", path))
}

impl Running {
    /// The address as callers on this machine write it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Address and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operations.
    #[must_use]
    pub fn ops(&self) -> &Arc<Ops> {
        &self.ops
    }

    /// Runs until SIGTERM or SIGINT, or until the listener breaks; then ends in order.
    ///
    /// # Errors
    /// When the listener broke.
    pub async fn until_signal(mut self) -> Result<(), Failure> {
        let broken = tokio::select! {
            name = signal() => {
                tracing::info!(signal = name, "ending");
                None
            }
            ended = &mut self.server => Some(match ended {
                Ok(Ok(())) => Failure::new("the listener ended by itself"),
                Ok(Err(error)) => Failure::new(format!("the listener broke: {error}")),
                Err(error) => Failure::new(format!("the listener broke: {error}")),
            }),
        };
        self.stop().await;
        broken.map_or(Ok(()), Err)
    }

    /// Ends: payloads of the worker are ended and go back to the queue, running calls are answered, the database is closed.
    pub async fn stop(self) {
        listen::withdraw(&self.config, &self.url);
        if let Some(worker) = self.worker {
            worker.stop().await;
        }
        if let Some(engine) = &self.engine {
            engine.shutdown().await;
        }
        self.stop.send_replace(true);
        if !self.server.is_finished()
            && let Err(error) = self.server.await
        {
            tracing::error!(%error, "the listener broke");
        }
        self.ops.store.close().await;
    }
}

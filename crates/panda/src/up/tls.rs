//! The listener with TLS: its files, and who follows them.
//!
//! Owns what is made of `server.tls_...` at the start. Must not know how certificates are checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use panda_access::x509::Certificates;
use panda_server::serve;
use panda_server::tls::verifier::Clients;
use panda_server::tls::{LOOK_EVERY, Tls};
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::listen;
use crate::config::Config;
use crate::failure::Failure;
use crate::session;

/// A bound listener and what its handshakes are made with.
pub(super) struct TlsListener {
    listener: TcpListener,
    tls: Arc<Tls>,
}

impl TlsListener {
    /// Reads the files, then binds; None where no TLS is configured.
    pub async fn open(config: &Config, certificates: Option<Arc<Certificates>>) -> Result<Option<Self>, Failure> {
        let Some(wanted) = &config.server.tls else { return Ok(None) };
        let clients = certificates.filter(|certificates| certificates.has_cas()).map(Clients::new);
        let clients = clients.map(|clients| Arc::new(clients) as Arc<dyn ClientCertVerifier>);
        let tls = Tls::open(wanted.files.clone(), clients).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
        let listener = listen::bind(wanted.listen, false).await?;
        let is_far = listener.local_addr().is_ok_and(|address| !address.ip().to_canonical().is_loopback());
        if is_far && config.server.public_url.is_none() {
            tracing::warn!("`server.public_url` is not set: jobs are told addresses of this machine only; set it to https://HOST:PORT");
        }
        Ok(Some(Self { listener, tls }))
    }
}

/// What is known of callers by certificate; None where nobody comes so.
pub(super) fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, Failure> {
    let Some(places) = config.x509.places.clone() else { return Ok(None) };
    let known = config.clone();
    let knows = Arc::new(move |vo: &str| known.knows_vo(vo));
    let opened = Certificates::open(places, Arc::new(session::now_us), knows);
    opened.map(|certificates| Some(Arc::new(certificates))).map_err(|error| Failure::from(anyhow::Error::new(error)))
}

/// How often the log tells again what is wrong with certificates.
const REPORT_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Follows directories and files of certificates until `stopped`, and tells what is wrong with them.
pub(super) async fn follow(certificates: Arc<Certificates>, mut stopped: watch::Receiver<bool>) {
    let mut told: (Vec<String>, Option<Instant>) = (Vec::new(), None);
    loop {
        let looked = certificates.clone();
        let report = tokio::task::spawn_blocking(move || {
            if looked.reload() {
                tracing::info!("CAs, revocation lists or mappings of certificates were taken anew");
            }
            looked.report()
        });
        match report.await {
            Ok(report) => {
                let is_old = told.1.is_none_or(|at| at.elapsed() > REPORT_EVERY);
                for line in report.iter().filter(|line| is_old || !told.0.contains(line)) {
                    tracing::warn!("{line}");
                }
                if is_old || report != told.0 {
                    told = (report, if is_old { Some(Instant::now()) } else { told.1 });
                }
            }
            Err(error) => tracing::error!(%error, "looking at certificates failed"),
        }
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Serves the plain listener and the one with TLS until `stopped`.
pub(super) async fn serve(
    plain: TcpListener,
    tls: Option<TlsListener>,
    routes: Router,
    stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let Some(TlsListener { listener, tls }) = tls else { return serve::serve(plain, routes, stopped).await };
    tokio::spawn(tls.clone().follow(stopped.clone()));
    let secure = serve::serve_tls(listener, tls, routes.clone(), stopped.clone());
    tokio::try_join!(serve::serve(plain, routes, stopped), secure).map(|_| ())
}

//! What a handler can reach: the caller and the server's services.
//!
//! Owns [`Ctx`], [`ServerState`] and the small doors through which other rooms
//! plug in. Must not know any method.

use crate::file_server::BlobStore;
use crate::forwarded::Forwarded;
use http::header::HOST;
use http::{HeaderMap, HeaderName, Method};
use panda_access::x509::Shown;
use panda_access::{Identity, Principal};
use panda_ops::Ops;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A future that a trait object gives back.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One call: who asks, from where, and what the server has.
#[derive(Clone)]
pub struct Ctx {
    /// The caller; `None` is anonymous.
    pub principal: Option<Arc<Principal>>,
    /// What all requests share.
    pub state: Arc<ServerState>,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Verb of the request.
    pub verb: Method,
    /// Who the request came from.
    pub peer: Peer,
}

/// The other end of a connection, which the accept loop puts into every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether the connection is over TLS.
    pub is_tls: bool,
    /// The certificate that was shown in the handshake.
    pub certificate: Option<Arc<Shown>>,
}

impl Default for Peer {
    /// Nobody known: no address of this machine.
    fn default() -> Self {
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), is_tls: false, certificate: None }
    }
}

impl Ctx {
    /// A header as text; none when absent or not ASCII.
    #[must_use]
    pub fn header(&self, name: impl AsHeader) -> Option<&str> {
        name.find(&self.headers)
    }

    /// The `Origin` header: a bare VO name, `vo:role` or `vo.role`.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// Scheme, host and port under which the caller reached us, without a slash
    /// at the end: the configured address, or else the `Host` header.
    #[must_use]
    pub fn base_url(&self) -> String {
        match (&self.state.options.public_url, self.header(HOST)) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(host)) if is_host(host) => format!("{}://{host}", if self.peer.is_tls { "https" } else { "http" }),
            (None, _) => format!("http://{}", self.state.options.listen),
        }
    }

    /// The host part of [`Ctx::base_url`], without port: what goes into `FOUND:<host>:<file>`.
    #[must_use]
    pub fn host(&self) -> String {
        let base = self.base_url();
        let authority = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host.to_owned(),
            _ => authority.to_owned(),
        }
    }

    /// What does the work.
    #[must_use]
    pub fn ops(&self) -> &Ops {
        &self.state.ops
    }

    /// The caller, for methods whose right demands one.
    ///
    /// # Errors
    /// The refusal of an anonymous caller.
    pub fn caller(&self) -> Result<&Arc<Principal>, panda_access::Denied> {
        self.principal.as_ref().ok_or(panda_access::Denied::NoIdentity)
    }
}

/// Whether a `Host` header can stand in an address that we write.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.len() <= 260 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
}

/// Names of headers, as text or constant.
pub trait AsHeader {
    /// Looks the header up.
    fn find(self, headers: &HeaderMap) -> Option<&str>;
}

impl AsHeader for &str {
    fn find(self, headers: &HeaderMap) -> Option<&str> {
        headers.get(self).and_then(|v| v.to_str().ok())
    }
}

impl AsHeader for HeaderName {
    fn find(self, headers: &HeaderMap) -> Option<&str> {
        headers.get(self).and_then(|v| v.to_str().ok())
    }
}

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address that is listened on.
    pub listen: SocketAddr,
    /// Address under which others reach the server, when it differs from what they send as `Host`.
    pub public_url: Option<String>,
    /// Folder of temporary uploads, on the file system of the blob store.
    pub upload_folder: PathBuf,
    /// What reverse proxies may tell of callers.
    pub forwarded: Forwarded,
    /// The program that is served under `/trf/user/<runner>`.
    pub runner: Option<PathBuf>,
}

/// Whether somebody is locked out.
pub trait Bans: Send + Sync {
    /// True when every request of this identity is to be refused.
    fn is_banned(&self, principal: &Principal) -> bool;

    /// Shown names of those who are locked out.
    fn names(&self) -> Vec<String>;
}

/// Nobody is locked out.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBans;

impl Bans for NoBans {
    fn is_banned(&self, _: &Principal) -> bool {
        false
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Documents of an identity provider that this server is itself.
pub trait AuthDocuments: Send + Sync {
    /// A document below `/auth/` (`dev_auth_config.json`, `jwks.json`,
    /// `.well-known/openid-configuration`), for a server reached at `base`.
    fn document(&self, path: &str, base: &str) -> Option<Value>;
}

/// The server is no identity provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuthDocuments;

impl AuthDocuments for NoAuthDocuments {
    fn document(&self, _: &str, _: &str) -> Option<Value> {
        None
    }
}

impl AuthDocuments for panda_access::dev::Issuer {
    fn document(&self, path: &str, base: &str) -> Option<Value> {
        match path {
            "jwks.json" => Some(self.jwks()),
            ".well-known/openid-configuration" => Some(self.discovery(base)),
            _ => self.auth_config(base, path.strip_suffix("_auth_config.json")?),
        }
    }
}

/// Sees every request when it is over; must be quick.
pub trait Observer: Send + Sync {
    /// `method` is `module/name` of the table, the old wire's name, or a word for static files.
    fn request(&self, method: &'static str, status: u16, took: Duration);
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn request(&self, _: &'static str, _: u16, _: Duration) {}
}

/// What all requests share.
pub struct ServerState {
    /// What does the work.
    pub ops: Arc<Ops>,
    /// Who asks.
    pub identity: Arc<dyn Identity>,
    /// Who is locked out.
    pub bans: Arc<dyn Bans>,
    /// How many requests an identity may send.
    pub limits: crate::limit::Limits,
    /// Uploaded files.
    pub files: Arc<dyn BlobStore>,
    /// Documents of our own identity provider.
    pub auth: Arc<dyn AuthDocuments>,
    /// Metrics.
    pub observer: Arc<dyn Observer>,
    /// Settings.
    pub options: Options,
}

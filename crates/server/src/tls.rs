//! TLS of the listener: certificate and key from files, taken anew when the files change.
//!
//! Owns reading and checking of both, and what a handshake is made with. Must not know what is served, nor who the holder of a client
//! certificate is: that a handshake with one holds is seen by [`verifier`].

pub mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, crypto};
use tokio::sync::watch;

/// How often the files are looked at. A look is a `stat` of two files; who renews a certificate need not tell anybody.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Largest file of certificate or key: a chain of ten with comments has 30 kB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where certificate and key of the listener are, PEM both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate of this host, then those between it and a well-known CA.
    pub certificate: PathBuf,
    /// Its key; may be the same file.
    pub key: PathBuf,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing of the kind in a file.
    #[error("`{path}` holds no {what} in PEM form")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Everybody can read the key.
    #[error("the key `{0}` is readable by everybody on this machine; run `chmod o-rwx {0}`")]
    Exposed(PathBuf),
    /// Certificate and key cannot be used, or not with each other.
    #[error("certificate `{certificate}` and key `{key}` cannot be used: {reason}")]
    Unfit {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What tells that a file is another than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(std::fs::metadata(path).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len(), meta.ino()))))
    }
}

/// Certificate and key in use.
pub struct Tls {
    files: Files,
    verifier: Arc<dyn ClientCertVerifier>,
    config: RwLock<Arc<ServerConfig>>,
    stamps: Mutex<[Stamp; 2]>,
}

impl Tls {
    /// Reads the files. Clients need no certificate; with `verifier` they may show one, which must hold.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing, exposed, no PEM, or certificate and key do not belong together.
    pub fn open(files: Files, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Result<Arc<Self>, TlsError> {
        let verifier = verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let stamps = stamps(&files);
        let config = RwLock::new(read(&files, verifier.clone())?);
        Ok(Arc::new(Self { files, verifier, config, stamps: Mutex::new(stamps) }))
    }

    /// What the next handshake is made with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.read().clone()
    }

    /// Where certificate and key come from.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Takes the files anew when they are others than before; true when they were taken. Connections that are open stay as they are.
    ///
    /// # Errors
    /// [`TlsError`] when the new files cannot be used: the ones before stay in use, and the same ones are not tried again.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let found = stamps(&self.files);
        {
            let mut known = self.stamps.lock();
            if *known == found {
                return Ok(false);
            }
            *known = found;
        }
        *self.config.write() = read(&self.files, self.verifier.clone())?;
        Ok(true)
    }

    /// Follows the files until `stopped`.
    pub async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let tls = self.clone();
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(true)) => tracing::info!(certificate = %self.files.certificate.display(), "the certificate was taken anew"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                    tracing::error!("the certificate before stays in use: {error}{reason}");
                }
                Err(error) => tracing::error!(%error, "looking at the certificate failed"),
            }
        }
    }
}

fn stamps(files: &Files) -> [Stamp; 2] {
    [Stamp::of(&files.certificate), Stamp::of(&files.key)]
}

/// What every TLS connection of ours is made with: the provider that the whole program has.
#[must_use]
pub fn provider() -> Arc<crypto::CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

fn read(files: &Files, verifier: Arc<dyn ClientCertVerifier>) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(&files.certificate)?).collect();
    let missing = |path: &Path, what| TlsError::Missing { path: path.to_owned(), what };
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| missing(&files.certificate, "certificate"))?;
    let is_exposed = {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(&files.key).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
    };
    if is_exposed {
        return Err(TlsError::Exposed(files.key.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?).map_err(|_| missing(&files.key, "private key without passphrase"))?;
    let unfit = |reason: String| TlsError::Unfit { certificate: files.certificate.clone(), key: files.key.clone(), reason };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unfit(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unfit(reason(&error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The words of rustls for what people do wrong are about its own structures.
fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key is not that of the certificate (the host's own certificate stands first)".to_owned(),
        other => other.to_string(),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    #[allow(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

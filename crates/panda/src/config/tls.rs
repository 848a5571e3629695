//! TLS and certificates: `server.tls_...` and `[x509]`.
//!
//! Owns which of these settings need others. Must not know how certificates are checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::HeaderName;
use panda_access::x509::Places;
use panda_access::x509::forward::Network;
use panda_server::forwarded::Forwarded;
use panda_server::tls::Files;

use super::{ConfigError, Settings};

/// `server.tls_...`
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate and key.
    pub files: Files,
}

impl TlsConfig {
    /// The listener, when it has an address and a certificate; one without the other is a mistake.
    pub(super) fn of(s: &Settings) -> Result<Option<Self>, ConfigError> {
        let file = |key| s.optional(key).map(PathBuf::from);
        let pair = (s.optional("server.tls_listen"), file("server.tls_certificate"));
        let missing = |key: &'static str, other: &'static str| ConfigError::Half { key, origin: s.origin(other), other };
        match pair {
            (Some(_), Some(certificate)) => {
                let key = file("server.tls_key").unwrap_or_else(|| certificate.clone());
                let files = Files { certificate, key };
                Ok(Some(Self { listen: s.address("server.tls_listen")?, files }))
            }
            (Some(_), None) => Err(missing("server.tls_certificate", "server.tls_listen")),
            (None, Some(_)) => Err(missing("server.tls_listen", "server.tls_certificate")),
            (None, None) if s.get("server.tls_key").is_some() => Err(missing("server.tls_certificate", "server.tls_key")),
            (None, None) => Ok(None),
        }
    }
}

/// `[x509]`
#[derive(Debug, Clone, Default)]
pub struct X509Config {
    /// CAs and what belongs to them; None = nobody comes by certificate.
    pub places: Option<Places>,
    /// What reverse proxies may tell.
    pub forwarded: Forwarded,
}

impl X509Config {
    pub(super) fn of(s: &Settings) -> Result<Self, ConfigError> {
        let file = |key| s.optional(key).map(PathBuf::from);
        let header = |key: &'static str| {
            let name = |text: String| HeaderName::try_from(&text).map_err(|_| wrong(s, key, &text, "the name of a header"));
            s.optional(key).map(name).transpose()
        };
        const PROXIES: &str = "x509.trusted_proxies";
        let network =
            |text: &String| Network::parse(text).ok_or_else(|| wrong(s, PROXIES, text, "addresses or networks such as 10.0.0.0/8"));
        let forwarded = Forwarded {
            proxies: s.texts(PROXIES).iter().map(network).collect::<Result<_, _>>()?,
            certificate: header("x509.certificate_header")?,
            name: header("x509.name_header")?,
        };
        let places = Places { ca_dir: file("x509.ca_dir"), voms_dir: file("x509.voms_dir"), map_file: file("x509.map_file") };
        let needs = |other: &'static str, key: &'static str, is_there: bool| match s.get(other) {
            Some(_) if !is_there => Err(ConfigError::Half { key, origin: s.origin(other), other }),
            _ => Ok(()),
        };
        let has_cas = places.ca_dir.is_some();
        needs("x509.voms_dir", "x509.ca_dir", has_cas)?;
        needs("x509.certificate_header", "x509.ca_dir", has_cas)?;
        // A name that a proxy has verified needs no CAs here.
        needs("x509.map_file", "x509.ca_dir", has_cas || forwarded.name.is_some())?;
        needs("x509.certificate_header", PROXIES, !forwarded.proxies.is_empty())?;
        needs("x509.name_header", PROXIES, !forwarded.proxies.is_empty())?;
        let is_used = has_cas || forwarded.name.is_some();
        Ok(Self { places: is_used.then_some(places), forwarded })
    }
}

fn wrong(s: &Settings, key: &'static str, found: &str, expected: &str) -> ConfigError {
    ConfigError::Value { origin: s.origin(key), key: key.to_owned(), found: format!("`{found}`"), expected: expected.to_owned() }
}

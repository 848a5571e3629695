//! What a reverse proxy tells of the callers that it terminates TLS for.
//!
//! Owns: which headers these are, and that they count from listed proxies only. Must not know: what a certificate is worth.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use panda_access::x509::Shown;
use panda_access::x509::forward::{Network, decode};

/// Which headers count, and from whom. The default: none.
#[derive(Debug, Clone, Default)]
pub struct Forwarded {
    /// The proxies.
    pub proxies: Vec<Network>,
    /// The header with the caller's certificate, and those that vouch for it.
    pub certificate: Option<HeaderName>,
    /// The header with the subject of a certificate that the proxy has verified.
    pub name: Option<HeaderName>,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Nothing of this kind.
    Nothing,
    /// Certificates. The proxy vouches for the caller having the key; whether they hold is ours to see.
    Certificate(Shown),
    /// The subject of a certificate that holds.
    Name(String),
}

impl Forwarded {
    /// What the headers of a request tell.
    ///
    /// # Errors
    /// A sentence when a header comes from somebody else than a proxy, twice, or cannot be read: nobody else may say who a caller is.
    pub fn read(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Told, String> {
        for (header, is_name) in [(&self.certificate, false), (&self.name, true)] {
            let Some(header) = header else { continue };
            let mut values = headers.get_all(header).iter();
            let Some(value) = values.next() else { continue };
            if !self.proxies.iter().any(|network| network.contains(peer)) {
                return Err(format!("the header `{header}` came from {peer}, which is not in `x509.trusted_proxies`"));
            }
            if values.next().is_some() {
                return Err(format!("the header `{header}` came twice; the proxy must replace what callers send"));
            }
            let text = value.to_str().map_err(|_| format!("the header `{header}` is no ASCII text"))?.trim();
            // What proxies write when the caller showed nothing.
            if matches!(text, "" | "-" | "(null)") {
                continue;
            }
            return match is_name {
                true => Ok(Told::Name(text.to_owned())),
                false => decode(text).map(Told::Certificate).map_err(|why| format!("the header `{header}` cannot be used: {why}")),
            };
        }
        Ok(Told::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn ask(peer: &str, headers: &[(&'static str, &'static str)]) -> Result<Told, String> {
        let forwarded = Forwarded {
            proxies: vec![Network::parse("10.0.0.0/24").unwrap()],
            certificate: Some(HeaderName::from_static("client-cert")),
            name: Some(HeaderName::from_static("ssl_client_s_dn")),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        forwarded.read(peer.parse().unwrap(), &map)
    }

    #[test]
    fn only_listed_proxies_tell() {
        let name = [("ssl_client_s_dn", "/DC=org/CN=Alice")];
        assert_eq!(ask("10.0.0.7", &name), Ok(Told::Name("/DC=org/CN=Alice".to_owned())));
        let refused = ask("10.0.1.7", &name).unwrap_err();
        assert_eq!(refused, "the header `ssl_client_s_dn` came from 10.0.1.7, which is not in `x509.trusted_proxies`");
        assert!(ask("127.0.0.1", &[("client-cert", ":AQID:")]).is_err());
        assert!(matches!(ask("10.0.0.7", &[("client-cert", ":AQID:"), name[0]]), Ok(Told::Certificate(_))), "the certificate says more");
        assert_eq!(ask("10.0.0.7", &[("client-cert", "(null)"), name[0]]), Ok(Told::Name("/DC=org/CN=Alice".to_owned())));
        assert_eq!(ask("10.0.1.7", &[("x-other", "1")]), Ok(Told::Nothing));
        assert!(ask("10.0.0.7", &[name[0], ("ssl_client_s_dn", "/DC=org/CN=Mallory")]).unwrap_err().contains("came twice"));
        assert!(ask("10.0.0.7", &[("client-cert", "!")]).is_err());
    }

    #[test]
    fn without_settings_headers_are_nothing() {
        let mut map = HeaderMap::new();
        map.insert("ssl_client_s_dn", HeaderValue::from_static("/CN=Alice"));
        assert_eq!(Forwarded::default().read([127, 0, 0, 1].into(), &map), Ok(Told::Nothing));
    }
}

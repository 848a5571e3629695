//! The address of a server and the paths below it.
//!
//! Owns which spellings of a server address are accepted. Must not know HTTP.

use reqwest::Url;

use crate::ClientError;

/// Suffixes that people paste with the address of a server and that are cut.
const KNOWN_SUFFIXES: [&str; 3] = ["/server/panda", "/api/panda/v1", "/api/v1"];

/// The root address of a server, without a trailing slash.
///
/// Made from what users have in `PANDA_URL_SSL` or `PANDA_URL`, which by the
/// habits of the official client ends in `/server/panda`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    root: String,
    loopback: bool,
    https: bool,
}

impl BaseUrl {
    /// Parses an address such as `http://127.0.0.1:25080` or
    /// `https://panda.example.org:25443/server/panda`.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`] when the text has no `http://` or `https://`, no
    /// host, or carries a query.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadUrl { url: text.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it must start with http:// or https://"));
        }
        let Some(host) = url.host_str() else {
            return Err(bad("it names no host"));
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must not carry a query"));
        }
        let loopback = is_loopback(host);
        let https = url.scheme() == "https";
        let mut root = url.as_str().trim_end_matches('/').to_owned();
        for suffix in KNOWN_SUFFIXES {
            if let Some(cut) = root.strip_suffix(suffix) {
                root = cut.trim_end_matches('/').to_owned();
                break;
            }
        }
        Ok(Self { root, loopback, https })
    }

    /// The root itself, e.g. `http://127.0.0.1:25080`.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Whether the host is this machine, so that no proxy is wanted.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether calls go over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// `<root>/api/v1/<module>/<method>`.
    #[must_use]
    pub fn method(&self, module: &str, method: &str) -> String {
        format!("{}/api/v1/{module}/{method}", self.root)
    }

    /// `<root>/api/panda/v1/<path>`: the methods that are ours alone.
    #[must_use]
    pub fn own(&self, path: &str) -> String {
        format!("{}/api/panda/v1/{}", self.root, path.trim_start_matches('/'))
    }

    /// `<root>/<path>`, or `path` itself when it is a whole address.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}/{}", self.root, path.trim_start_matches('/'))
        }
    }
}

fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_official_suffix_is_optional() {
        for text in [
            "http://127.0.0.1:25080",
            "http://127.0.0.1:25080/",
            "http://127.0.0.1:25080/server/panda",
            " http://127.0.0.1:25080/server/panda/ ",
            "http://127.0.0.1:25080/api/v1",
        ] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!(base.root(), "http://127.0.0.1:25080", "{text}");
            assert!(base.is_loopback());
        }
    }

    #[test]
    fn a_prefix_below_a_proxy_is_kept() {
        let base = BaseUrl::parse("https://lab.example.org/panda/server/panda").unwrap();
        assert_eq!(base.method("task", "submit"), "https://lab.example.org/panda/api/v1/task/submit");
        assert!(base.is_https() && !base.is_loopback());
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        for text in ["", "localhost:25080", "ftp://x/", "http://x/?a=1"] {
            let error = BaseUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains("not a server address"), "{error}");
        }
    }

    #[test]
    fn paths_and_whole_addresses() {
        let base = BaseUrl::parse("http://[::1]:1").unwrap();
        assert!(base.is_loopback());
        assert_eq!(base.at("/cache/x"), "http://[::1]:1/cache/x");
        assert_eq!(base.at("http://y/z"), "http://y/z");
        assert_eq!(base.own("/job/log"), "http://[::1]:1/api/panda/v1/job/log");
    }
}

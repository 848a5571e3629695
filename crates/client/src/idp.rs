//! What an OpenID provider publishes: its discovery document (OpenID Connect Discovery 1.0) and its keys (RFC 7517).
//!
//! Owns the two fetches and what is wrong when they fail. Must not know what keys are for.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, redirect};
use serde_json::Value;

use crate::tls;

/// Time for each of the two answers.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest document that is read; real ones have some kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;

/// What was found.
#[derive(Debug, Clone)]
pub struct Published {
    /// The discovery document.
    pub discovery: Value,
    /// The key set.
    pub jwks: Value,
}

fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    tls::install_provider();
    let mut builder = Client::builder()
        .timeout(DEADLINE)
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
        .user_agent(concat!("panda/", env!("CARGO_PKG_VERSION")));
    for certificate in tls::grid_certificates() {
        builder = builder.add_root_certificate(certificate);
    }
    let made = builder.build().map_err(|e| format!("no HTTP client: {}", chain(&e)))?;
    Ok(CLIENT.get_or_init(|| made))
}

/// Address of the discovery document of an issuer.
#[must_use]
pub fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Fetches what an issuer publishes.
///
/// # Errors
/// A sentence: what was asked, and what is wrong with the answer.
pub async fn fetch(issuer: &str) -> Result<Published, String> {
    let url = discovery_url(issuer);
    let discovery = document(&url).await?;
    let told = discovery["issuer"].as_str().unwrap_or_default();
    if told.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(format!("{url} is the document of another issuer, `{told}`; name the VO's issuer exactly so"));
    }
    let keys = discovery["jwks_uri"].as_str().ok_or_else(|| format!("{url} names no `jwks_uri`"))?;
    if !is_safe(keys) {
        return Err(format!("{url} names the keys at `{keys}`, which is not encrypted; https is needed beyond this machine"));
    }
    Ok(Published { jwks: document(keys).await?, discovery })
}

fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

async fn document(url: &str) -> Result<Value, String> {
    let failed = |e: reqwest::Error| format!("{url} does not answer: {}", chain(&e));
    let mut answer = client()?.get(url).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("{url} answers {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > MAX_BYTES {
            return Err(format!("{url} answers more than {MAX_BYTES} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).map_err(|e| format!("{url} answers no JSON: {e}"))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_travel_encrypted_beyond_this_machine() {
        assert!(is_safe("https://idp.example.org/keys") && is_safe("http://127.0.0.1:8080/keys") && is_safe("http://[::1]/keys"));
        assert!(!is_safe("http://idp.example.org/keys") && !is_safe("http://127.0.0.1.example.org/keys") && !is_safe("file:///etc/passwd"));
        assert_eq!(discovery_url("https://idp.example.org/realms/a/"), "https://idp.example.org/realms/a/.well-known/openid-configuration");
    }
}

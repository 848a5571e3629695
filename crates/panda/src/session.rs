//! A verb's connection to a server: its address, and a token to show.
//!
//! Owns the order in which both are looked for. Must not know what is asked.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use panda_access::Role;
use panda_access::dev::{Issuer, TokenRequest};
use panda_client::{BaseUrl, Client, RetryPolicy};
use serde_json::Value;

use crate::config::Config;
use crate::context::Context;
use crate::failure::{Failure, exit};

/// Variable with a token, as the official client reads it.
const TOKEN_VARIABLE: &str = "PANDA_AUTH_ID_TOKEN";
/// Lifetime of the tokens that verbs make for themselves: longer than any wait should be.
const OWN_TOKEN_LIFETIME_S: i64 = 2 * 24 * 3600;
/// Key file of the development issuer in the data folder (a test holds the name).
pub(crate) const KEY_FILE: &str = "development-issuer.p8";
/// Largest `server.url`.
const MAX_ADDRESS_BYTES: usize = 1_024;

/// An address, an identity, and the calls.
#[derive(Debug, Clone)]
pub struct Session {
    /// The calls.
    pub client: Client,
    /// Short name of the caller, as in `user.<nickname>`; absent without a token.
    pub nickname: Option<String>,
    /// The VO to act for.
    pub vo: String,
    /// The token that is shown, if there is one.
    pub token: Option<String>,
}

impl Session {
    /// Opens a session; nothing is sent yet.
    pub fn open(context: &Context) -> Result<Self, Failure> {
        Self::with_role(context, None, None)
    }

    /// Opens a session that acts in a role where the token can be made here.
    pub fn with_role(context: &Context, role: Option<Role>, vo: Option<&str>) -> Result<Self, Failure> {
        let config = &context.config;
        let base = BaseUrl::parse(&server_address(config))?;
        let vo = vo.map_or_else(|| config.default_vo(), str::to_owned);
        let mut origin = vo.clone();
        let token = match std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty()) {
            Some(token) => {
                // A role in the VO is asked for; what reaches further was granted. A token that is made here has it.
                if let Some(role) = role.as_ref().filter(|role| role.is_of_a_vo()) {
                    origin = format!("{vo}:{role}");
                }
                Some(token.trim().to_owned())
            }
            None if base.is_loopback() => local_token(config, role, &vo)?,
            None => None,
        };
        let nickname = token.as_deref().and_then(nickname);
        // A server that is not there should be said at once, not after a minute of tries.
        let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let mut builder = Client::builder(base.root()).retry(retry).origin(&origin);
        if let Some(token) = &token {
            builder = builder.token(token.clone());
        }
        Ok(Self { client: builder.build()?, nickname, vo, token })
    }

    /// The caller's short name, for names of tasks.
    pub fn nickname(&self) -> Result<&str, Failure> {
        self.nickname.as_deref().ok_or_else(no_token)
    }

    /// Whether the server is on this machine.
    pub fn is_local(&self) -> bool {
        self.client.base().is_loopback()
    }
}

/// What to say when there is no token.
pub(crate) fn no_token() -> Failure {
    Failure::new("no identity: there is no token and none can be made here")
        .hint(format!("set `{TOKEN_VARIABLE}`, or name the data folder of a local server with `--data DIR`"))
}

/// The server's address: option, environment, configuration, the one that runs on the data folder, the default.
pub(crate) fn server_address(config: &Config) -> String {
    if let Some(server) = &config.client.server {
        return server.clone();
    }
    let running = std::fs::read(config.address_file()).ok().filter(|text| text.len() <= MAX_ADDRESS_BYTES);
    if let Some(running) = running.and_then(|text| String::from_utf8(text).ok()) {
        return running.trim().to_owned();
    }
    format!("http://{}", config.server.listen)
}

/// A token of the data folder's development issuer, if there is one that we may read.
fn local_token(config: &Config, role: Option<Role>, vo: &str) -> Result<Option<String>, Failure> {
    // Made by the server at its first start; a folder that is not ours to read is no identity.
    if std::fs::File::open(config.data.join(KEY_FILE)).is_err() {
        return Ok(None);
    }
    let request = TokenRequest {
        user: config.default_user(),
        vo: vo.to_owned(),
        role,
        lifetime_s: Some(OWN_TOKEN_LIFETIME_S),
        ..TokenRequest::default()
    };
    let issuer = issuer(config)?;
    issuer.sign(&request).map(Some).map_err(|error| Failure { code: exit::USAGE, ..Failure::new(error.to_string()) })
}

/// The development issuer of the data folder; its key is made if it is missing.
pub(crate) fn issuer(config: &Config) -> Result<Arc<Issuer>, Failure> {
    let known = config.vos.clone();
    let known_vo = Arc::new(move |vo: &str| known.is_empty() || known.iter().any(|known| known == vo));
    Issuer::open(&config.data, Arc::new(now_us), known_vo).map(Arc::new).map_err(|error| Failure::from(anyhow::Error::new(error)))
}

/// Microseconds UTC since 1970.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// `preferred_username` of a token, unverified: for names only, the server verifies.
fn nickname(token: &str) -> Option<String> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let name = claims.get("preferred_username").or_else(|| claims.get("sub"))?.as_str()?;
    // A name in a data set's name: what is no letter, digit, dot or dash would break it.
    Some(name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Given, load};

    fn config(folder: &std::path::Path) -> Config {
        let data = Some(folder.display().to_string());
        load(&Given::default().option("data", data, "--data").option("client.user", Some("jane".to_owned()), "-")).unwrap()
    }

    #[test]
    fn tokens_are_made_only_where_the_server_left_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert_eq!(local_token(&config, None, "amber").unwrap(), None);
        issuer(&config).unwrap();
        assert!(folder.path().join(KEY_FILE).is_file());
        let token = local_token(&config, None, "amber").unwrap().unwrap();
        assert_eq!(nickname(&token).unwrap(), "jane");
    }

    #[test]
    fn the_running_server_of_the_data_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert_eq!(server_address(&config), "http://127.0.0.1:25080");
        std::fs::write(config.address_file(), "http://127.0.0.1:4321\n").unwrap();
        assert_eq!(server_address(&config), "http://127.0.0.1:4321");
    }
}

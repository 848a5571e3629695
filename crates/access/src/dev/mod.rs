//! The local development issuer: signs real tokens (ES256) for the users of one machine, and verifies them.
//!
//! Owns: its key file, the claims it writes, verification with a bounded cache, and the documents that describe it (JWKS,
//! discovery, the client's auth configuration). Must not know: listeners, HTTP, the store. It is an [`Identity`] only for a
//! loopback listener ([`Issuer::for_listener`]): whoever can read its key file is everybody.

mod claims;
mod documents;
mod jws;
mod key;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::{self, Verified};
use crate::identity::{AccessError, Identity, RequestIdentity, bearer};
use crate::origin::{MAX_ORIGIN_BYTES, Origin};
use crate::principal::{Principal, Role, Standing, clean_name};
use claims::Claims;
use key::Key;

/// `iss` of every development token. A constant, not a URL: ownership is keyed on it and must survive another port, another
/// data folder on the same database, and a new key.
pub const ISSUER: &str = "urn:panda:development";
/// `aud` of every development token, and the client id in the auth configuration.
pub const AUDIENCE: &str = "panda-dev";
/// Lifetime of a token unless asked otherwise: a working week on one machine without asking again.
pub const DEFAULT_LIFETIME_S: i64 = 7 * 24 * 3600;
/// Longest lifetime that can be asked for: a token cannot be called back, so none outlives a year.
pub const MAX_LIFETIME_S: i64 = 366 * 24 * 3600;
/// Longest user, VO, role, name or mail text in a token; with it every token stays under 4 kB.
pub const MAX_TEXT_BYTES: usize = 256;

/// Tells the time: microseconds UTC since 1970. Passed in so that tests and the simulator own it.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;
/// Tells whether a VO (lower case) is configured.
pub type KnownVo = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What went wrong with the issuer itself.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key file or its folder cannot be used.
    #[error("cannot {action} the development key `{path}`")]
    File {
        /// What was tried: `read`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// Others than the owner can read the key.
    #[error("the development key `{0}` is readable by other users; run `chmod 600 {0}` or delete it to get a new one")]
    Exposed(PathBuf),
    /// The file is no key.
    #[error("the development key `{0}` is damaged; delete it and a new one is made (tokens signed by it end)")]
    Damaged(PathBuf),
    /// The system gave no randomness or the key refused to sign.
    #[error("the system's cryptography failed to {0}")]
    Crypto(&'static str),
    /// The listener is reachable from other machines.
    #[error(
        "the development issuer identifies callers on loopback only, and {0} is reachable from other machines; \
         listen on 127.0.0.1, or configure an identity provider"
    )]
    BeyondLoopback(SocketAddr),
    /// A token was asked for that cannot be given.
    #[error("{0}")]
    Request(String),
}

/// What a token shall say.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// The user's short name: `sub` and `preferred_username`.
    pub user: String,
    /// The VO.
    pub vo: String,
    /// The role to act in; the token then carries the group `vo/role`.
    pub role: Option<Role>,
    /// Full name; the user's short name if absent. Never empty in the token: the client needs it.
    pub name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Whether the role reaches every VO: of pilots that serve a whole site. Operators reach every VO in any case.
    pub everywhere: bool,
    /// Lifetime in seconds, at most [`MAX_LIFETIME_S`]; [`DEFAULT_LIFETIME_S`] if absent.
    pub lifetime_s: Option<i64>,
}

/// The issuer of one data folder.
pub struct Issuer {
    key: Key,
    now: Now,
    known_vo: KnownVo,
}

impl Issuer {
    /// Loads the key in `folder`, or makes it (file mode 0600). Two processes that start at once get the same key.
    ///
    /// # Errors
    /// [`IssuerError`] when the file cannot be read or made, is readable by others, or is no key.
    pub fn open(folder: &Path, now: Now, known_vo: KnownVo) -> Result<Self, IssuerError> {
        Ok(Self { key: Key::open(folder)?, now, known_vo })
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`IssuerError::Request`] for an empty or overlong text, an unknown VO or a lifetime out of bounds.
    pub fn sign(&self, request: &TokenRequest) -> Result<String, IssuerError> {
        let lifetime_s = request.lifetime_s.unwrap_or(DEFAULT_LIFETIME_S);
        if !(1..=MAX_LIFETIME_S).contains(&lifetime_s) {
            return Err(IssuerError::Request(format!("a token lives between 1 and {MAX_LIFETIME_S} seconds")));
        }
        let vo = request.vo.trim().to_ascii_lowercase();
        self.check_texts(request, &vo)?;
        let mut groups = vec![vo.clone()];
        let mut vo_claim = vo.clone();
        let mut everywhere = Vec::new();
        if let Some(role) = request.role.as_ref().filter(|role| request.everywhere || !role.is_of_a_vo()) {
            everywhere.push(role.to_string());
        } else if let Some(role) = &request.role {
            groups.push(format!("{vo}/{role}"));
            vo_claim = format!("{vo}:{role}");
        }
        let user = request.user.trim();
        let name = request.name.as_deref().map(str::trim).filter(|n| !n.is_empty()).unwrap_or(user);
        let iat = (self.now)().div_euclid(1_000_000);
        self.sign_claims(&Claims {
            iss: ISSUER.to_owned(),
            sub: user.to_owned(),
            aud: claims::Audience::One(AUDIENCE.to_owned()),
            exp: iat.saturating_add(lifetime_s),
            iat: Some(iat),
            nbf: None,
            name: Some(name.to_owned()),
            preferred_username: Some(user.to_owned()),
            email: request.email.clone(),
            vo: Some(vo_claim),
            groups,
            everywhere,
        })
    }

    fn check_texts(&self, request: &TokenRequest, vo: &str) -> Result<(), IssuerError> {
        let bad = |text: &str| text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control);
        let spaced = |text: &str| text.chars().any(|c| c.is_whitespace() || matches!(c, '/' | ':'));
        if bad(request.user.trim()) || spaced(request.user.trim()) {
            return Err(IssuerError::Request(
                "a user name is one word of at most 256 bytes without `/` and `:`; give `--user NAME`".to_owned(),
            ));
        }
        if bad(vo) || spaced(vo) {
            return Err(IssuerError::Request("a VO is one word without `/` and `:`; give `--vo VO`".to_owned()));
        }
        if !(self.known_vo)(vo) {
            return Err(IssuerError::Request(format!("the VO `{vo}` is not configured here")));
        }
        let role = request.role.as_ref().map(Role::as_str);
        if role.is_some_and(|r| bad(r) || spaced(r)) {
            return Err(IssuerError::Request("a role is one word without `/` and `:`".to_owned()));
        }
        let free = [request.name.as_deref(), request.email.as_deref()];
        if free.into_iter().flatten().any(|t| !t.is_empty() && bad(t)) {
            return Err(IssuerError::Request("name and mail address have at most 256 bytes each".to_owned()));
        }
        Ok(())
    }

    /// Signs claims of somebody else's, whose `iss` is not this issuer's: they identify nobody here by themselves.
    ///
    /// # Errors
    /// [`IssuerError::Crypto`].
    pub fn sign_payload(&self, claims: &[u8]) -> Result<String, IssuerError> {
        jws::sign(&self.key, claims)
    }

    fn sign_claims(&self, claims: &Claims) -> Result<String, IssuerError> {
        let payload = serde_json::to_vec(claims).map_err(|_| IssuerError::Crypto("encode the claims"))?;
        jws::sign(&self.key, &payload)
    }

    /// The identity of callers of a loopback listener.
    ///
    /// # Errors
    /// [`IssuerError::BeyondLoopback`] for any other address, the unspecified one included.
    pub fn for_listener(self: &Arc<Self>, address: SocketAddr) -> Result<DevIdentity, IssuerError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(IssuerError::BeyondLoopback(address));
        }
        Ok(DevIdentity { issuer: Arc::clone(self), verified: Verified::default() })
    }

    /// The public key as a JSON Web Key Set.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        documents::jwks(&self.key)
    }

    /// The discovery document of the issuer; `base` is the server's address (`http://127.0.0.1:25080`).
    #[must_use]
    pub fn discovery(&self, base: &str) -> serde_json::Value {
        documents::discovery(base)
    }

    /// What `/auth/<vo>_auth_config.json` answers (`spec/client.md` section 8.3); `vo` as asked for (`vo`, `vo:role`,
    /// `vo.role`), None when its VO is not configured.
    #[must_use]
    pub fn auth_config(&self, base: &str, vo: &str) -> Option<serde_json::Value> {
        let origin = Origin::parse(vo, |vo| (self.known_vo)(vo))?;
        (self.known_vo)(&origin.vo).then(|| documents::auth_config(base, &origin))
    }

    /// Checks signature and claims at this moment.
    fn verify(&self, token: &str) -> Result<Claims, AccessError> {
        let payload = jws::verify(&self.key, token)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|_| AccessError::InvalidToken("its claims are not those of this issuer"))?;
        claims.check((self.now)().div_euclid(1_000_000))?;
        Ok(claims)
    }

    /// Who the claims say it is, acting as `Origin` and the `vo` claim ask. The claim's VO wins over the header's, as
    /// upstream has it; a role counts only when its group is in the token.
    fn principal(&self, claims: Claims, origin: Option<&str>) -> Result<Principal, AccessError> {
        let parse = |text: Option<&str>| text.and_then(|text| Origin::parse(text, |vo| (self.known_vo)(vo)));
        let claimed = parse(claims.vo.as_deref());
        let asked = parse(origin);
        let vo = claimed.as_ref().or(asked.as_ref()).map(|origin| origin.vo.clone());
        let mut roles = BTreeSet::new();
        if let Some(vo) = &vo {
            if !(self.known_vo)(vo) {
                return Err(AccessError::UnknownVo(vo.clone()));
            }
            claims.require_group(vo)?;
            for role in [claimed, asked].into_iter().flatten().filter_map(|origin| origin.role) {
                if !role.is_of_a_vo() {
                    return Err(AccessError::NotOfAVo(role.to_string()));
                }
                claims.require_group(&format!("{vo}/{role}"))?;
                roles.insert(role);
            }
        }
        let nickname = claims.preferred_username.unwrap_or_else(|| claims.sub.clone());
        Ok(Principal {
            name: clean_name(claims.name.as_deref().unwrap_or(&nickname)),
            issuer: claims.iss,
            subject: claims.sub,
            nickname,
            vo,
            roles,
            groups: claims.groups,
            email: claims.email,
            standing: Standing { roles: claims.everywhere.iter().map(|r| Role::from_name(r)).collect(), ..Standing::default() },
        })
    }
}

/// The identity of callers of one loopback listener. Got from [`Issuer::for_listener`].
pub struct DevIdentity {
    issuer: Arc<Issuer>,
    verified: Verified,
}

impl Identity for DevIdentity {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        let Some(token) = bearer(request.authorization)? else { return Ok(None) };
        if !request.peer_is_loopback {
            return Err(AccessError::NotLoopback);
        }
        let origin = request.origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES);
        let digest = cache::digest(token, origin.unwrap_or_default());
        let now = (self.issuer.now)();
        if let Some(principal) = self.verified.get(&digest, now) {
            return Ok(Some(principal));
        }
        let claims = self.issuer.verify(token)?;
        let until = claims.exp.saturating_mul(1_000_000);
        let principal = Arc::new(self.issuer.principal(claims, origin)?);
        self.verified.put(digest, until, Arc::clone(&principal));
        Ok(Some(principal))
    }
}

#[cfg(test)]
mod tests;

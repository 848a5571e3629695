//! API tokens: what robots and agents show instead of a log-in.
//!
//! Owns: which tokens hold now, by the SHA-256 of their texts, and who shows one. A token is written as a JSON Web Token, so that clients can read whose it is and
//! when it ends; what makes it good is that its text is known here and not revoked. Must not know: where they are stored.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ring::digest::{SHA256, digest};

use crate::dev::Now;
use crate::identity::{AccessError, Identity, RequestIdentity, bearer};
use crate::origin::{MAX_ORIGIN_BYTES, Origin};
use crate::principal::Principal;

/// `iss` of every API token.
pub const ISSUER: &str = "urn:panda:token";

/// A token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Who shows it, with the roles it was made with.
    pub principal: Arc<Principal>,
    /// When it ends, microseconds.
    pub until_us: i64,
}

/// The tokens that hold.
pub struct Tokens {
    known: RwLock<Arc<HashMap<String, ApiToken>>>,
    now: Now,
}

/// SHA-256 of a token's text, hexadecimal: what is kept of it.
#[must_use]
pub fn hash(text: &str) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or_default();
    digest(&SHA256, text.as_bytes()).as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl Tokens {
    /// Knows none yet.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { known: RwLock::default(), now }
    }

    /// From now on these hold, by [`hash`].
    pub fn set(&self, known: HashMap<String, ApiToken>) {
        *self.known.write() = Arc::new(known);
    }
}

impl Identity for Tokens {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        let Some(text) = bearer(request.authorization)? else { return Ok(None) };
        let known = Arc::clone(&self.known.read());
        if known.is_empty() {
            return Err(AccessError::UnknownToken);
        }
        // One that was made a moment ago, or is revoked: whoever knows the difference looks again.
        let token = known.get(&hash(text)).ok_or(AccessError::UnknownToken)?;
        if (self.now)() >= token.until_us {
            return Err(AccessError::InvalidToken("it has expired; make a new one with `panda token create`"));
        }
        let who = &token.principal;
        let origin = request.origin.filter(|origin| origin.len() <= MAX_ORIGIN_BYTES);
        let Some(asked) = origin.and_then(|text| Origin::parse(text, |vo| who.vo.as_deref() == Some(vo))) else {
            return Ok(Some(Arc::clone(who)));
        };
        match (&who.vo, asked.role) {
            (Some(vo), _) if *vo != asked.vo => Err(AccessError::InvalidToken("it was made for another VO")),
            (_, Some(role)) if !who.acts(&role, Some(&asked.vo)) => Err(AccessError::NotMember(format!("{}/{role}", asked.vo))),
            _ => Ok(Some(Arc::clone(who))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::principal::{Role, Standing};

    #[test]
    fn a_token_holds_until_it_ends_or_is_revoked() {
        let now = Arc::new(std::sync::atomic::AtomicI64::new(10));
        let clock = Arc::clone(&now);
        let tokens = Tokens::new(Arc::new(move || clock.load(std::sync::atomic::Ordering::Relaxed)));
        let robot = Principal {
            issuer: ISSUER.into(),
            subject: "ci".into(),
            name: "ci".into(),
            nickname: "ci".into(),
            vo: Some("amber".into()),
            roles: [Role::Production].into(),
            groups: vec!["amber".into()],
            email: None,
            standing: Standing::default(),
        };
        let ask = |origin: Option<&str>| {
            let request = RequestIdentity { authorization: Some("Bearer secret"), origin, ..RequestIdentity::default() };
            tokens.authenticate(&request).map(|who| who.unwrap().subject.clone())
        };
        assert_eq!(ask(None), Err(AccessError::UnknownToken));
        let token = ApiToken { principal: Arc::new(robot), until_us: 20 };
        tokens.set([(hash("secret"), token)].into());
        assert_eq!(ask(None), Ok("ci".into()));
        assert_eq!(ask(Some("Amber:production")), Ok("ci".into()));
        assert_eq!(ask(Some("amber:pilot")), Err(AccessError::NotMember("amber/pilot".into())));
        assert_eq!(ask(Some("flint")), Err(AccessError::InvalidToken("it was made for another VO")));
        assert_eq!(ask(Some("http://a.browser")), Ok("ci".into()));
        now.store(20, std::sync::atomic::Ordering::Relaxed);
        assert!(ask(None).unwrap_err().to_string().contains("expired"));
        tokens.set(HashMap::new());
        assert_eq!(ask(None), Err(AccessError::UnknownToken));
    }
}

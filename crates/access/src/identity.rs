//! Owns: the door through which every identity comes, and its refusals. Must not know: any one provider.

use std::pin::Pin;
use std::sync::Arc;

use crate::jws::Jws;
use crate::principal::Principal;
use crate::x509::Shown;

/// Longest `Authorization` header that is decoded; tokens of real issuers stay under 4 kB, and hashing must stay cheap.
pub const MAX_AUTHORIZATION_BYTES: usize = 16 * 1024;

/// What a request tells about its sender, as header text.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestIdentity<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Origin` header: `vo`, `vo:role` or `vo.role`. May be absent; then the token's `vo` claim counts.
    pub origin: Option<&'a str>,
    /// True when the peer's address is a loopback address. Development tokens are honoured only then.
    pub peer_is_loopback: bool,
    /// The certificate that the sender showed when the connection was made, and whose key he proved to have.
    pub certificate: Option<&'a Shown>,
    /// The subject of his certificate, where a trusted reverse proxy tells no more than that.
    pub certificate_name: Option<&'a str>,
}

/// Turns what a request tells about its sender into a principal.
pub trait Identity: Send + Sync {
    /// None is an anonymous request, which is no failure: the method decides whether it needs more.
    ///
    /// # Errors
    /// An [`AccessError`] when an identity was claimed and does not hold. The server answers it with HTTP 403 and the text
    /// `ERROR : Token authentication failed. <error>`.
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError>;

    /// Tries to learn what [`AccessError::UnknownKey`] or [`AccessError::NoKeys`] says is missing, within seconds. True when there is something new, so
    /// that asking again may succeed.
    fn learn<'a>(&'a self, _issuer: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(std::future::ready(false))
    }
}

/// Why a claimed identity does not hold. The texts follow upstream's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The token is malformed, forged, expired or not for us.
    #[error("Invalid token. {0}")]
    InvalidToken(&'static str),
    /// The caller is not in the group that the VO or role asks for.
    #[error("Not a member of the {0} group")]
    NotMember(String),
    /// A role that reaches further than a VO was asked for in one.
    #[error("the role {0} is not of a VO: it is granted with `panda user grant`, and needs not be asked for")]
    NotOfAVo(String),
    /// The VO is not configured here.
    #[error("Unknown vo : {0}")]
    UnknownVo(String),
    /// The issuer has no such key as far as it is known here: it may be a new one.
    #[error("Invalid token. it is signed with a key that its issuer {0} does not list")]
    UnknownKey(String),
    /// The keys of the issuer were never learned.
    #[error("Invalid token. the keys of its issuer {0} are not known here, it did not answer; try again later")]
    NoKeys(String),
    /// An API token that is not known here.
    #[error("Invalid token. it is revoked, or was not made by this server")]
    UnknownToken,
    /// `Authorization` is not `Bearer <token>`.
    #[error("unsupported authorization scheme; send `Authorization: Bearer <token>`")]
    UnsupportedScheme,
    /// `Authorization` is longer than [`MAX_AUTHORIZATION_BYTES`].
    #[error("the authorization header is longer than {MAX_AUTHORIZATION_BYTES} bytes")]
    TooLong,
    /// The certificate does not hold, or gives no rights here.
    #[error("Invalid certificate. {0}")]
    Certificate(String),
    /// A development token came from another machine.
    #[error("development tokens are honoured on loopback connections only; configure an identity provider for other machines")]
    NotLoopback,
}

/// The bearer token of an `Authorization` header. A header of one word is anonymous, as upstream takes it.
///
/// # Errors
/// [`AccessError::TooLong`], or [`AccessError::UnsupportedScheme`] for two words of which the first is not `Bearer`.
pub fn bearer(authorization: Option<&str>) -> Result<Option<&str>, AccessError> {
    let Some(text) = authorization else { return Ok(None) };
    if text.len() > MAX_AUTHORIZATION_BYTES {
        return Err(AccessError::TooLong);
    }
    let mut words = text.split_ascii_whitespace();
    let (Some(scheme), Some(token)) = (words.next(), words.next()) else { return Ok(None) };
    if words.next().is_some() {
        return Err(AccessError::InvalidToken("the authorization header has more than two words"));
    }
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token)) } else { Err(AccessError::UnsupportedScheme) }
}

/// The issuer that a request's token names, unverified: only to find out who is to verify it.
#[must_use]
pub fn issuer_of(request: &RequestIdentity<'_>) -> Option<String> {
    let token = bearer(request.authorization).ok().flatten()?;
    Jws::parse(token).ok()?.issuer()
}

/// Knows nobody: every request is anonymous, and a token is refused. What a listener without provider uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Identity for Nobody {
    fn authenticate(&self, request: &RequestIdentity<'_>) -> Result<Option<Arc<Principal>>, AccessError> {
        match bearer(request.authorization)? {
            Some(_) => Err(AccessError::InvalidToken("no identity provider is configured on this server")),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_anonymous_and_other_schemes_are_refused() {
        assert_eq!(bearer(None), Ok(None));
        assert_eq!(bearer(Some("Bearer")), Ok(None));
        assert_eq!(bearer(Some("")), Ok(None));
        assert_eq!(bearer(Some("bearer abc")), Ok(Some("abc")));
        assert_eq!(bearer(Some("Basic abc")), Err(AccessError::UnsupportedScheme));
        assert!(matches!(bearer(Some("Bearer a b")), Err(AccessError::InvalidToken(_))));
        assert_eq!(bearer(Some(&"x".repeat(MAX_AUTHORIZATION_BYTES + 1))), Err(AccessError::TooLong));
    }

    #[test]
    fn nobody_refuses_tokens() {
        let ask = |authorization| Nobody.authenticate(&RequestIdentity { authorization, ..RequestIdentity::default() });
        assert_eq!(ask(None), Ok(None));
        assert!(ask(Some("Bearer a.b.c")).is_err());
    }
}

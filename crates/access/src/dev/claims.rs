//! Owns: the claims of a development token and their checks. Must not know: signatures, keys.

use serde::{Deserialize, Serialize};

use crate::identity::AccessError;

/// How far `nbf` may lie ahead of our clock, in seconds: the same machine signs and verifies, but clocks are set.
const SKEW_S: i64 = 5;

/// `aud` is one text or a list (RFC 7519 section 4.1.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The claims that panda-client and the server read (`spec/client.md` section 8.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default)]
    pub vo: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Roles that reach every VO; only this issuer's tokens can say so.
    #[serde(default, rename = "panda_everywhere", skip_serializing_if = "Vec::is_empty")]
    pub everywhere: Vec<String>,
}

impl Claims {
    /// Issuer, audience, subject and dates at `now` (seconds).
    pub(super) fn check(&self, now: i64) -> Result<(), AccessError> {
        let is_for_us = match &self.aud {
            Audience::One(aud) => aud == super::AUDIENCE,
            Audience::Many(auds) => auds.iter().any(|aud| aud == super::AUDIENCE),
        };
        let refusal = if self.iss != super::ISSUER {
            "it is of another issuer"
        } else if !is_for_us {
            "it is for another audience"
        } else if self.sub.is_empty() {
            "it names no subject"
        } else if now >= self.exp {
            "it has expired; get a new one with `panda token`"
        } else if self.nbf.is_some_and(|nbf| nbf > now.saturating_add(SKEW_S)) {
            "it is not valid yet"
        } else {
            return Ok(());
        };
        Err(AccessError::InvalidToken(refusal))
    }

    /// Membership of `group`, listed with or without leading slash, in any case.
    pub(super) fn require_group(&self, group: &str) -> Result<(), AccessError> {
        let is_member = |g: &String| g.strip_prefix('/').unwrap_or(g).eq_ignore_ascii_case(group);
        if self.groups.iter().any(is_member) { Ok(()) } else { Err(AccessError::NotMember(group.to_owned())) }
    }
}

//! Owns: signing and verifying with ES256 (RFC 7518 section 3.4) and nothing else. Must not know: claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use super::IssuerError;
use super::key::Key;
use crate::identity::AccessError;
use crate::jws::Jws;

pub(super) fn sign(key: &Key, payload: &[u8]) -> Result<String, IssuerError> {
    let header = serde_json::json!({"alg": "ES256", "typ": "JWT", "kid": key.id()}).to_string();
    let mut token = B64.encode(header);
    token.push('.');
    B64.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    B64.encode_string(signature, &mut token);
    Ok(token)
}

/// The payload of a token that this key signed.
pub(super) fn verify(key: &Key, token: &str) -> Result<Vec<u8>, AccessError> {
    let jws = Jws::parse(token)?;
    if jws.alg != "ES256" {
        return Err(AccessError::InvalidToken("it is not signed with ES256"));
    }
    if jws.kid.as_deref() != Some(key.id()) {
        return Err(AccessError::InvalidToken("it is signed with another key; get a new one with `panda token`"));
    }
    if !key.verify(jws.signed.as_bytes(), &jws.signature) {
        return Err(AccessError::InvalidToken("its signature does not match"));
    }
    Ok(jws.payload)
}

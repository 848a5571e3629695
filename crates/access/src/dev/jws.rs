//! Owns: the compact form of a signed token (RFC 7515) with ES256 (RFC 7518 section 3.4) and nothing else. Must not know: claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;

use super::IssuerError;
use super::key::Key;
use crate::identity::AccessError;

/// Unknown members are ignored, but `crit` is not: what it lists must be understood (RFC 7515 section 4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

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
    let malformed = AccessError::InvalidToken("it is not three base64url parts parted by dots");
    let Some((signed, signature)) = token.rsplit_once('.') else { return Err(malformed) };
    let Some((header, payload)) = signed.split_once('.') else { return Err(malformed) };
    let (Ok(header), Ok(payload), Ok(signature)) = (B64.decode(header), B64.decode(payload), B64.decode(signature)) else {
        return Err(malformed);
    };
    let header: Header = serde_json::from_slice(&header).map_err(|_| AccessError::InvalidToken("its header is not JSON with `alg`"))?;
    if header.alg != "ES256" {
        return Err(AccessError::InvalidToken("it is not signed with ES256"));
    }
    if header.crit.is_some() {
        return Err(AccessError::InvalidToken("its header demands an extension that is not known here"));
    }
    if header.kid.as_deref() != Some(key.id()) {
        return Err(AccessError::InvalidToken("it is signed with another key; get a new one with `panda token`"));
    }
    if !key.verify(signed.as_bytes(), &signature) {
        return Err(AccessError::InvalidToken("its signature does not match"));
    }
    Ok(payload)
}

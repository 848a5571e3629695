//! Owns: the compact form of a signed token (RFC 7515). Must not know: keys, algorithms, claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;

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

/// A token in its parts. Nothing in it is verified.
pub(crate) struct Jws<'a> {
    /// Name of the algorithm of its signature (RFC 7518 section 3.1).
    pub alg: String,
    /// Id of the key.
    pub kid: Option<String>,
    /// What is signed: header and payload as they stand.
    pub signed: &'a str,
    /// The claims as JSON text.
    pub payload: Vec<u8>,
    /// The signature; empty when there is none.
    pub signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// [`AccessError::InvalidToken`] when it is not three parts, or its header is not one that can be understood.
    pub fn parse(token: &'a str) -> Result<Self, AccessError> {
        let malformed = AccessError::InvalidToken("it is not three base64url parts parted by dots");
        let Some((signed, signature)) = token.rsplit_once('.') else { return Err(malformed) };
        let Some((header, payload)) = signed.split_once('.') else { return Err(malformed) };
        let (Ok(header), Ok(payload), Ok(signature)) = (B64.decode(header), B64.decode(payload), B64.decode(signature)) else {
            return Err(malformed);
        };
        let header: Header = serde_json::from_slice(&header).map_err(|_| AccessError::InvalidToken("its header is not JSON with `alg`"))?;
        if header.crit.is_some() {
            return Err(AccessError::InvalidToken("its header demands an extension that is not known here"));
        }
        Ok(Self { alg: header.alg, kid: header.kid, signed, payload, signature })
    }

    /// The `iss` claim, unverified: only to find out who is to verify the token.
    pub fn issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Iss {
            iss: String,
        }
        serde_json::from_slice::<Iss>(&self.payload).ok().map(|c| c.iss)
    }
}

//! Owns: the public keys of one issuer (JWKS, RFC 7517) and what they can verify (RFC 7518, RFC 8037). Must not know: claims, where keys come from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

use crate::jws::Jws;

/// Most keys of an issuer that are read: real ones have a handful.
const MAX_KEYS: usize = 64;

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

#[derive(PartialEq, Eq)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    alg: Option<String>,
    public: Public,
}

/// The keys of an issuer.
#[derive(Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// What became of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The signature is one of these keys.
    Genuine,
    /// The algorithm is none that is accepted: none at all, or one with a shared secret.
    NoAlgorithm,
    /// No key of this id is known: it may be a new one.
    UnknownKey,
    /// The signature does not match.
    Forged,
}

impl KeySet {
    /// Reads a JSON Web Key Set; keys of kinds that are not known here, or not for signatures, are left out.
    ///
    /// # Errors
    /// A sentence when it is no key set, or none of its keys can be used.
    pub fn read(jwks: &Value) -> Result<Self, String> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or("it is no JSON Web Key Set: there is no list `keys`")?;
        let read = |v: &Value| serde_json::from_value::<Jwk>(v.clone()).ok().and_then(key);
        let keys: Vec<Key> = keys.iter().take(MAX_KEYS).filter_map(read).collect();
        if keys.is_empty() {
            return Err("it holds no key for signatures of a known kind (RSA, P-256, P-384, Ed25519)".to_owned());
        }
        Ok(Self(keys))
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the signature of a token. A token without key id is tried with each key of its algorithm.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Verdict {
        if !is_accepted(&jws.alg) {
            return Verdict::NoAlgorithm;
        }
        let mut fitting = self
            .0
            .iter()
            .filter(|k| jws.kid.is_none() || k.kid == jws.kid)
            .filter(|k| k.alg.as_ref().is_none_or(|alg| *alg == jws.alg))
            .peekable();
        if fitting.peek().is_none() {
            return Verdict::UnknownKey;
        }
        let genuine = fitting.any(|k| k.public.verify(&jws.alg, jws.signed.as_bytes(), &jws.signature));
        if genuine { Verdict::Genuine } else { Verdict::Forged }
    }
}

/// Only signatures with a public key: `none` and the shared-secret kinds are never accepted, whatever a key says.
fn is_accepted(alg: &str) -> bool {
    matches!(alg, "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA")
}

fn key(jwk: Jwk) -> Option<Key> {
    if jwk.purpose.as_deref().is_some_and(|p| p != "sig") {
        return None;
    }
    let bytes = |text: Option<&String>| text.and_then(|t| B64.decode(t.trim_end_matches('=')).ok());
    let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let number = |text| bytes(text).map(|b| b.into_iter().skip_while(|b| *b == 0).collect::<Vec<u8>>());
            Public::Rsa { n: number(jwk.n.as_ref())?, e: number(jwk.e.as_ref())? }
        }
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
            let size = if curve == "P-256" { 32 } else { 48 };
            if x.len() != size || y.len() != size {
                return None;
            }
            // an uncompressed point
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            if curve == "P-256" { Public::P256(point) } else { Public::P384(point) }
        }
        ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(jwk.x.as_ref())?),
        _ => return None,
    };
    Some(Key { kid: jwk.kid, alg: jwk.alg, public })
}

impl Public {
    fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        let rsa: Option<&RsaParameters> = match alg {
            "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Some(&RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Some(&RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
            "PS384" => Some(&RSA_PSS_2048_8192_SHA384),
            "PS512" => Some(&RSA_PSS_2048_8192_SHA512),
            _ => None,
        };
        let other =
            |how: &'static dyn VerificationAlgorithm, key: &[u8]| UnparsedPublicKey::new(how, key).verify(message, signature).is_ok();
        match (self, rsa, alg) {
            (Self::Rsa { n, e }, Some(how), _) => RsaPublicKeyComponents { n, e }.verify(how, message, signature).is_ok(),
            (Self::P256(point), None, "ES256") => other(&ECDSA_P256_SHA256_FIXED, point),
            (Self::P384(point), None, "ES384") => other(&ECDSA_P384_SHA384_FIXED, point),
            (Self::Ed25519(key), None, "EdDSA") => other(&ED25519, key),
            _ => false,
        }
    }
}

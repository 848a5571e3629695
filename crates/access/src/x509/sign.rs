//! Signatures of certificates and lists.
//!
//! Owns: which algorithms count, with the strength that OpenSSL's security level 2 asks for. Must not know: who signed what.

use std::sync::LazyLock;

use rustls::crypto::{WebPkiSupportedAlgorithms, ring};

use super::cert::Certificate;
use super::der::{Elements, tag};
use super::refusal::Refusal;

/// Shortest RSA modulus, bits: 112 bits of security.
const MIN_RSA_BITS: usize = 2048;

/// The algorithms of the whole program.
static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| ring::default_provider().signature_verification_algorithms);

/// Octets of the OIDs of algorithms that nobody should sign with any more.
const WEAK: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2], "MD2"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], "MD5"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], "SHA-1"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], "SHA-1"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3], "SHA-1"),
    (&[0x2b, 0x0e, 3, 2, 29], "SHA-1"),
];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// Algorithms that handshakes are signed with.
#[must_use]
pub fn algorithms() -> WebPkiSupportedAlgorithms {
    *ALGORITHMS
}

/// Holds that `signature` over `message` is of the holder of the key; `what` names what is signed.
///
/// # Errors
/// [`Refusal::Weak`], [`Refusal::Algorithm`] or [`Refusal::Signature`].
pub fn verify(algorithm: &[u8], message: &[u8], signature: &[u8], key: &Certificate, what: &str) -> Result<(), Refusal> {
    let oid = Elements::of(algorithm).next(tag::OID, "an algorithm").map(|e| e.value).unwrap_or_default();
    if let Some((_, name)) = WEAK.iter().find(|(weak, _)| *weak == oid) {
        return Err(Refusal::Weak { what: what.to_owned(), why: format!("it is signed with {name}") });
    }
    strong_key(key)?;
    let mut fitting = ALGORITHMS
        .all
        .iter()
        .filter(|a| a.signature_alg_id().as_ref() == algorithm && a.public_key_alg_id().as_ref() == key.key_algorithm.as_slice())
        .peekable();
    if fitting.peek().is_none() {
        return Err(Refusal::Algorithm(what.to_owned()));
    }
    let is_genuine = fitting.any(|a| a.verify_signature(&key.key, message, signature).is_ok());
    if is_genuine { Ok(()) } else { Err(Refusal::Signature(what.to_owned())) }
}

/// Holds that a certificate's key is no short one.
///
/// # Errors
/// [`Refusal::Weak`].
pub fn strong_key(certificate: &Certificate) -> Result<(), Refusal> {
    match rsa_bits(certificate) {
        Some(bits) if bits < MIN_RSA_BITS => Err(Refusal::Weak {
            what: certificate.subject.slash(),
            why: format!("its RSA key has {bits} bits, {MIN_RSA_BITS} are the least"),
        }),
        _ => Ok(()),
    }
}

/// Length of an RSA key, if it is one.
fn rsa_bits(certificate: &Certificate) -> Option<usize> {
    let kind = Elements::of(&certificate.key_algorithm).next(tag::OID, "an algorithm").ok()?;
    if kind.value != RSA {
        return None;
    }
    let modulus = Elements::of(&certificate.key).sequence("an RSA key").ok()?.next(tag::INTEGER, "a modulus").ok()?.value;
    let first = modulus.iter().position(|octet| *octet != 0)?;
    let leading = modulus.get(first)?.leading_zeros();
    Some((modulus.len() - first) * 8 - usize::try_from(leading).ok()?)
}

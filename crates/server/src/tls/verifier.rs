//! Client certificates in handshakes.
//!
//! Owns: what rustls asks of who verifies clients; proxies of RFC 3820 are what its own verifier does not know. Must not know: what makes a chain good, nor
//! who its holder is (`panda_access::x509`).

use std::sync::Arc;

use panda_access::x509::{Certificates, Refusal, Shown, cert::Certificate, sign};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

/// Verifies the certificates that clients may show.
pub struct Clients(Arc<Certificates>);

impl Clients {
    /// By these CAs.
    #[must_use]
    pub fn new(certificates: Arc<Certificates>) -> Self {
        Self(certificates)
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

/// What the client is told: the alert that TLS has for it.
fn alert(why: Refusal) -> Error {
    Error::InvalidCertificate(match why {
        Refusal::Malformed { .. } => CertificateError::BadEncoding,
        Refusal::Expired { .. } => CertificateError::Expired,
        Refusal::NotYet { .. } => CertificateError::NotValidYet,
        Refusal::UnknownIssuer { .. } | Refusal::SelfSigned(_) => CertificateError::UnknownIssuer,
        Refusal::Signature(_) => CertificateError::BadSignature,
        Refusal::Revoked { .. } => CertificateError::Revoked,
        Refusal::Purpose(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

fn read(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::read(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        // Tokens, and what needs no identity.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A list of some hundred CAs would only make some clients show nothing at all: who shows a proxy has an issuer that is in no such list.
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = std::iter::once(own).chain(others).map(|certificate| certificate.to_vec());
        let shown = Shown::new(chain).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match self.0.check(&shown) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(why) => {
                tracing::info!("a client certificate is refused: {why}");
                Err(alert(why))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = read(certificate)?;
        let algorithms = sign::algorithms();
        let by_scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map(|(_, all)| *all).unwrap_or_default();
        let mut fitting = by_scheme.iter().filter(|a| a.public_key_alg_id().as_ref() == certificate.key_algorithm.as_slice());
        if fitting.any(|a| a.verify_signature(&certificate.key, message, signed.signature()).is_ok()) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = read(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.key_info.as_slice());
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &sign::algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        sign::algorithms().supported_schemes()
    }
}

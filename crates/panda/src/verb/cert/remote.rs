//! Looking at a server over a real connection.
//!
//! Owns the handshake that takes any certificate, so that it can be looked at, and what the server makes of ours. Must not know what is good.

use std::sync::Arc;
use std::time::Duration;

use panda_access::x509::cert::Certificate;
use panda_access::x509::sign;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a server may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of the answer is looked at: the head is enough.
const MAX_ANSWER: usize = 8 << 10;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The certificates that the server sent, DER.
    pub chain: Vec<Vec<u8>>,
    /// What the server's clock said, seconds UTC since 1970.
    pub clock_s: Option<i64>,
    /// Why it ended early: the server did not take our certificate.
    pub refused: Option<String>,
}

/// Certificates and key that are shown to the server.
pub(super) struct Own {
    pub chain: Vec<Vec<u8>>,
    pub key: PrivateKeyDer<'static>,
}

/// Keeps what it is shown and takes all of it.
#[derive(Debug, Default)]
struct Any(Mutex<Vec<Vec<u8>>>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock() = std::iter::once(own).chain(others).map(|der| der.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    // Nothing secret is sent, so nobody need prove to have the key.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        sign::algorithms().supported_schemes()
    }
}

/// Connects, shakes hands, and asks whether the server is alive.
///
/// # Errors
/// A sentence when nobody is there or no TLS is spoken.
pub(super) async fn look(host: &str, port: u16, name: &str, own: Option<Own>) -> Result<Seen, String> {
    match tokio::time::timeout(PATIENCE, connect(host, port, name, own)).await {
        Ok(seen) => seen,
        Err(_) => Err(format!("{host}:{port} does not answer within {} s", PATIENCE.as_secs())),
    }
}

async fn connect(host: &str, port: u16, name: &str, own: Option<Own>) -> Result<Seen, String> {
    let at = || format!("{host}:{port}");
    let any = Arc::new(Any::default());
    let builder = ClientConfig::builder_with_provider(panda_server::tls::provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(any.clone());
    let is_shown = own.is_some();
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(fitting(own)?))),
    };
    let server = ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no name of a machine"))?;
    let stream = TcpStream::connect((host, port)).await.map_err(|error| format!("cannot connect to {}: {error}", at()))?;
    let shaken = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(server, stream).await;
    let taken = || any.0.lock().clone();
    let mut stream = match shaken {
        Ok(stream) => stream,
        // With TLS 1.2 a certificate is refused within the handshake.
        Err(error) if is_shown && !taken().is_empty() => {
            return Ok(Seen { chain: taken(), refused: Some(error.to_string()), ..Seen::default() });
        }
        Err(error) => return Err(format!("{} does not speak TLS as it should: {error}", at())),
    };
    let request = format!("GET /api/v1/system/is_alive HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    let mut answer = vec![0; MAX_ANSWER];
    let mut filled = 0;
    let mut ended = stream.write_all(request.as_bytes()).await.err();
    while ended.is_none() && filled < answer.len() && !answer[..filled].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut answer[filled..]).await {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) => ended = Some(error),
        }
    }
    let refused = ended.filter(|_| is_shown && filled == 0).map(|error| error.to_string());
    Ok(Seen { chain: taken(), clock_s: clock(&String::from_utf8_lossy(&answer[..filled])), refused })
}

/// Certificates with their key. Whether they fit is seen here, as rustls knows no proxies.
fn fitting(Own { chain, key }: Own) -> Result<CertifiedKey, String> {
    let key = panda_server::tls::provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| format!("the key cannot be used: {error}"))?;
    let first = chain.first().and_then(|der| Certificate::read(der).ok());
    let is_its_key = match (&first, key.public_key()) {
        (Some(own), Some(public)) => own.key_info.as_slice() == public.as_ref(),
        _ => true,
    };
    if !is_its_key {
        return Err("the key is not that of the first certificate".to_owned());
    }
    Ok(CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key))
}

/// The time of the header `Date`.
fn clock(answer: &str) -> Option<i64> {
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("date:"))?;
    let time = jiff::fmt::rfc2822::parse(line.split_once(':')?.1.trim()).ok()?;
    Some(time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_of_answers_are_read() {
        assert_eq!(super::clock("HTTP/1.1 200 OK\r\nDATE: Mon, 30 Nov 2026 00:53:20 GMT\r\n\r\n"), Some(1_796_000_000));
        assert_eq!(super::clock("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}

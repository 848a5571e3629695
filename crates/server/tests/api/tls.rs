//! The listener with TLS over real sockets: certificates that change, and clients that do not speak TLS or do not speak at all.

use crate::support::{Server, server};
use panda_server::serve;
use panda_server::tls::{Files, Tls, TlsError};
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A certificate for `localhost` and its key in one file; tells the certificate.
fn write(path: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    made.cert.der().clone()
}

struct Running {
    address: SocketAddr,
    tls: Arc<Tls>,
    folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
    _server: Server,
}

async fn start() -> (Running, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.pem");
    let certificate = write(&path);
    let tls = Tls::open(Files { certificate: path.clone(), key: path }, None).unwrap();
    let s = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let router = serve::fallback(serve::router(s.state.clone()), s.state.clone());
    tokio::spawn(serve::serve_tls(listener, tls.clone(), router, stopped));
    (Running { address, tls, folder, _stop: stop, _server: s }, certificate)
}

/// One request by a client that trusts exactly this certificate.
async fn get(address: SocketAddr, trusted: &CertificateDer<'static>, path: &str) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(panda_server::tls::provider()).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let (running, first) = start().await;
    let alive = "/api/v1/system/is_alive";
    assert!(get(running.address, &first, alive).await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(!running.tls.reload().unwrap(), "nothing changed");
    let path = running.folder.path().join("host.pem");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n").unwrap();
    let refused = running.tls.reload().unwrap_err();
    assert!(refused.to_string().contains("/host.pem` holds no "), "{refused}");
    assert!(get(running.address, &first, alive).await.is_ok(), "the one before holds");
    assert!(!running.tls.reload().unwrap(), "the same broken file is not tried again");
    let second = write(&path);
    assert!(running.tls.reload().unwrap());
    assert!(get(running.address, &second, alive).await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get(running.address, &first, alive).await.is_err(), "the first one is still shown");
}

#[tokio::test]
async fn addresses_that_are_told_are_of_tls() {
    let (running, certificate) = start().await;
    let answer = get(running.address, &certificate, "/auth/.well-known/openid-configuration").await.unwrap();
    assert!(!answer.contains("http://"), "{answer}");
}

#[tokio::test]
async fn who_speaks_no_tls_or_nothing_holds_up_nobody() {
    let (running, certificate) = start().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    let mut garbage = TcpStream::connect(running.address).await.unwrap();
    garbage.write_all(&[22, 3, 1, 2, 0, 1, 255, 255, 0]).await.unwrap();
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\nERROR : this port speaks TLS only; write https://, please"),
        "{answer}"
    );
    let served = tokio::time::timeout(Duration::from_secs(5), get(running.address, &certificate, "/api/v1/system/is_alive")).await;
    assert!(served.unwrap().unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    // Their places come back.
    let mut end = Vec::new();
    let ended = tokio::time::timeout(serve::HANDSHAKE_TIMEOUT + Duration::from_secs(5), silent[0].read_to_end(&mut end)).await;
    assert_eq!(ended.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn files_that_do_not_fit_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.pem"));
    write(&path("b.pem"));
    let open = |certificate: &str, key: &str| Tls::open(Files { certificate: path(certificate), key: path(key) }, None).err().unwrap();
    assert!(open("a.pem", "b.pem").to_string().contains("the key is not that of the certificate"));
    assert!(matches!(open("none.pem", "a.pem"), TlsError::Read { .. }));
    std::fs::set_permissions(path("b.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open("b.pem", "b.pem"), TlsError::Exposed(_)));
    std::fs::write(path("c.pem"), "no key here").unwrap();
    assert!(matches!(open("a.pem", "c.pem"), TlsError::Exposed(_) | TlsError::Missing { .. }));
}

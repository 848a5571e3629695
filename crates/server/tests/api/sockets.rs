//! The accept loop over real sockets on loopback.

use crate::support::server;
use panda_server::serve;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

async fn start() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<std::io::Result<()>>, crate::support::Server) {
    let s = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let router = serve::fallback(serve::router(s.state.clone()), s.state.clone());
    (address, stop, tokio::spawn(serve::serve(listener, router, stopped)), s)
}

async fn talk(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn serves_and_ends() {
    let (address, stop, running, _s) = start().await;
    let answer = talk(address, b"GET /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-length: 46\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"success": true, "message": "", "data": null}"#), "{answer}");
    // An idle connection does not hold up the end.
    let idle = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn garbage_and_cut_bodies() {
    let (address, _stop, _running, _s) = start().await;
    let cut =
        talk(address, b"POST /api/v1/task/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 100\r\n\r\n{\"task")
            .await;
    assert!(cut.is_empty() || cut.starts_with("HTTP/1.1 400"), "{cut}");
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let answer = talk(address, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"), "{answer}");
    }
    let alive = talk(address, b"GET /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
}

#[tokio::test]
async fn one_connection_many_requests() {
    let (address, _stop, _running, _s) = start().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let one = b"GET /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..100 {
        stream.write_all(one).await.unwrap();
        let mut answer = vec![0; 4096];
        let n = stream.read(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer[..n]).ends_with("null}"));
    }
}

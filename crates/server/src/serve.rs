//! Listening: the accept loop, limits of connections, and the end.
//!
//! Owns sockets and timeouts. Must not know what is served: that is the router's.

use crate::ctx::{Peer, ServerState};
use crate::dispatch::dispatch;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use panda_access::x509::Shown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// Most connections at a time: each takes a descriptor and some 20 kB; callers above wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8_000;
/// How long a client may take for its request line and headers, and how long an idle connection is kept.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a handshake may take; who is slower holds nothing up but his own place.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests may go on after the end was asked for.
pub const GRACE: Duration = Duration::from_secs(10);
/// Pause after a failed accept (mostly: no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What somebody gets who speaks without TLS to a listener with it.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 57\r\n\r\n\
ERROR : this port speaks TLS only; write https://, please";
/// Bytes that a connection buffers, request line and headers included.
const BUFFER: usize = 64 << 10;

/// The routes of this room; others (the monitor's pages) can be merged with it.
/// It has no fallback: add [`fallback`] when nothing else does.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route("/api/{*path}", any(entry))
        .route("/server/panda/{method}", any(entry))
        .route("/cache/{*path}", any(entry))
        .route("/trf/{*path}", any(entry))
        .route("/auth/{*path}", any(entry))
        .with_state(state)
}

/// Answers everything else as the original does: a forbidden method.
pub fn fallback(router: Router, state: Arc<ServerState>) -> Router {
    router.fallback_service(any(entry).with_state(state))
}

async fn entry(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    dispatch(state, peer, request).await
}

/// Serves until `stop` turns true; then no connection is accepted any more,
/// running requests get [`GRACE`], and this returns.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) -> std::io::Result<()> {
    accept(listener, None, router, stop).await
}

/// The same over TLS.
///
/// # Errors
/// When the listener has no address.
pub async fn serve_tls(listener: TcpListener, tls: Arc<Tls>, router: Router, stop: watch::Receiver<bool>) -> std::io::Result<()> {
    accept(listener, Some(tls), router, stop).await
}

async fn accept(listener: TcpListener, tls: Option<Arc<Tls>>, router: Router, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "listening");
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stopped(&mut stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop, tls) = (router.clone(), stop.clone(), tls.clone());
                tokio::spawn(async move {
                    // Answers are written in one piece: waiting for more would only delay them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, %peer, "TCP_NODELAY refused");
                    }
                    match tls {
                        None => connection(stream, Peer { address: peer, ..Peer::default() }, router, stop).await,
                        Some(tls) => secure(stream, peer, &tls, router, stop).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Every place is free when every connection has ended.
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    if tokio::time::timeout(GRACE, places.acquire_many(all)).await.is_err() {
        tracing::warn!(%address, "requests were still running at the end");
    }
    Ok(())
}

/// Resolves when the end was asked for; also when nobody can ask any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// The handshake, then the connection.
async fn secure(mut stream: TcpStream, peer: SocketAddr, tls: &Tls, router: Router, mut stop: watch::Receiver<bool>) {
    let handshake = async {
        let mut first = [0];
        // A handshake begins with 22; a letter is a request without TLS, whose sender would only see the connection end.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            // Closing on what was sent but not read would cut the answer off.
            let _ = stream.read(&mut [0; 4096]).await?;
            stream.write_all(NO_TLS).await?;
            return Ok(None);
        }
        TlsAcceptor::from(tls.config()).accept(stream).await.map(Some)
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => ended,
        _ = stopped(&mut stop) => return,
    };
    let stream = match ended {
        Ok(Ok(Some(stream))) => stream,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return tracing::info!(%peer, "no TLS connection: {error}"),
        Err(_) => return tracing::debug!(%peer, "the handshake took too long"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = Shown::new(chain.iter().map(|certificate| certificate.to_vec())).map(Arc::new);
    connection(stream, Peer { address: peer, is_tls: true, certificate }, router, stop).await;
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, router: Router, mut stop: watch::Receiver<bool>) {
    let address = peer.address;
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (mut router, peer) = (router.clone(), peer.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            // A router is always ready and never fails.
            Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %address, "connection ended early");
    }
}

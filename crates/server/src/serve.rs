//! Listening: the accept loop, limits of connections, and the end.
//!
//! Owns sockets and timeouts. Must not know what is served: that is the router's.

use crate::ctx::ServerState;
use crate::dispatch::dispatch;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::Service;

/// Most connections at a time: each takes a descriptor and some 20 kB; callers above wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8_000;
/// How long a client may take for its request line and headers, and how long an idle connection is kept.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long requests may go on after the end was asked for.
pub const GRACE: Duration = Duration::from_secs(10);
/// Pause after a failed accept (mostly: no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes that a connection buffers, request line and headers included.
const BUFFER: usize = 64 << 10;

/// The address of the peer, which the accept loop puts into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(
    /// Address and port.
    pub SocketAddr,
);

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
    let peer = request.extensions().get::<Peer>().map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |peer| peer.0);
    dispatch(state, peer, request).await
}

/// Serves until `stop` turns true; then no connection is accepted any more,
/// running requests get [`GRACE`], and this returns.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
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
                let (router, stop) = (router.clone(), stop.clone());
                tokio::spawn(async move {
                    connection(stream, peer, router, stop).await;
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

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are written in one piece: waiting for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY refused");
    }
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
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
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

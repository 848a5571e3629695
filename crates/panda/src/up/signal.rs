//! The wish to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Resolves with the name of the signal that asks for the end.
pub(crate) async fn wait() -> &'static str {
    let (mut term, mut int) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::select! {
        () = next(&mut term) => "SIGTERM",
        () = next(&mut int) => "SIGINT",
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).map_err(|error| tracing::error!(%error, "a signal cannot be watched; end the program with KILL")).ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

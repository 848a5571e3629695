//! The listener, and the file in the data folder that tells its address.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::config::Config;
use crate::failure::{Failure, io};

/// How long an address that is in use is waited for. A program that was ended with `kill -9` while it started a child leaves its
/// listener to that child until the child has become its program: moments, but on a busy machine longer than a restart takes.
const HELD_LIMIT: Duration = Duration::from_secs(3);

/// Pause between two tries of an address in use.
const HELD_PAUSE: Duration = Duration::from_millis(50);

/// Listens, or says what is in the way.
pub(super) async fn bind(address: SocketAddr, free_port: bool) -> Result<TcpListener, Failure> {
    let until = Instant::now() + HELD_LIMIT;
    loop {
        let error = match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() != ErrorKind::AddrInUse => return Err(failure(address, &error)),
            Err(error) => error,
        };
        if free_port {
            let any = SocketAddr::new(address.ip(), 0);
            return TcpListener::bind(any).await.map_err(|error| failure(any, &error));
        }
        if Instant::now() > until {
            return Err(failure(address, &error));
        }
        tokio::time::sleep(HELD_PAUSE).await;
    }
}

fn failure(address: SocketAddr, error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("cannot listen on {address}: {error}"));
    match error.kind() {
        ErrorKind::AddrInUse => failure.hint(format!("another program has the port; `--listen {}:0` takes a free one", address.ip())),
        ErrorKind::PermissionDenied => failure.hint("ports below 1024 are for root; the usual one is 25080"),
        ErrorKind::AddrNotAvailable => failure.hint("this machine has no such address; `127.0.0.1` is always there"),
        _ => failure,
    }
}

/// Writes the address where verbs of the same data folder look for it.
pub(super) fn announce(config: &Config, url: &str) -> Result<(), Failure> {
    let path = config.address_file();
    let draft = path.with_extension("url.part");
    std::fs::write(&draft, format!("{url}\n")).and_then(|()| std::fs::rename(&draft, &path)).map_err(io("write", &path))
}

/// Takes the address back, unless somebody else has written his meanwhile.
pub(super) fn withdraw(config: &Config, url: &str) {
    let path = config.address_file();
    if std::fs::read_to_string(&path).is_ok_and(|text| text.trim() == url) {
        // A file that stays only makes verbs ask where nobody is.
        let _ = std::fs::remove_file(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_waited_for_while_its_holder_ends() {
        let holder = bind(SocketAddr::from(([127, 0, 0, 1], 0)), false).await.unwrap();
        let address = holder.local_addr().unwrap();
        let waiting = tokio::spawn(bind(address, false));
        tokio::time::sleep(HELD_PAUSE * 3).await;
        assert!(!waiting.is_finished());
        drop(holder);
        assert_eq!(waiting.await.unwrap().unwrap().local_addr().unwrap(), address);
    }
}

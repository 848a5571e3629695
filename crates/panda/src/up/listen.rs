//! The listener, and the file in the data folder that tells its address.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::failure::{Failure, io};

/// Listens, or says what is in the way.
pub(super) async fn bind(address: SocketAddr, free_port: bool) -> Result<TcpListener, Failure> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if free_port && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await.map_err(|error| failure(SocketAddr::new(address.ip(), 0), &error))
        }
        Err(error) => Err(failure(address, &error)),
    }
}

fn failure(address: SocketAddr, error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("cannot listen on {address}: {error}"));
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            failure.hint(format!("another program has the port; `--listen {}:0` takes a free one", address.ip()))
        }
        std::io::ErrorKind::PermissionDenied => failure.hint("ports below 1024 are for root; the usual one is 25080"),
        std::io::ErrorKind::AddrNotAvailable => failure.hint("this machine has no such address; `127.0.0.1` is always there"),
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

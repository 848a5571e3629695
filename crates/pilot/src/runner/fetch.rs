//! The sandbox over http or https, without any identity.
//!
//! Owns attempts and pauses. Whether the bytes are an archive is for `unpack`.
//! The name is the capability (`payload_runners.md` section 1.3), so nothing
//! secret is sent.

use std::path::Path;
use std::time::Duration;

use panda_client::{Client, RetryPolicy};

use super::fail::{Failure, Number};

/// Attempts before the job fails; a 404 ends at once, for it will stay one.
const ATTEMPTS: u32 = 3;

/// Pause after a failed attempt: long enough for a server to restart.
const PAUSE: Duration = Duration::from_secs(30);

/// Time of one attempt. Sandboxes have at most some hundred MB.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);

/// Fetches `<source_url>/cache/<name>` into `to`.
///
/// The size is compared with `Content-Length`. The sentence that the ATLAS pilot
/// looks for (its code 1335) is printed on failure.
pub(crate) fn fetch(source_url: &str, name: &str, to: &Path) -> Result<(), Failure> {
    fetch_with_pause(source_url, name, to, PAUSE)
}

fn fetch_with_pause(source_url: &str, name: &str, to: &Path, pause: Duration) -> Result<(), Failure> {
    let fail = |reason: String| {
        println!("ERROR: unable to fetch source tarball from web");
        Failure::new(Number::NotFetched, format!("unable to fetch the sandbox {name}: {reason}"))
    };
    let client =
        Client::builder(source_url).retry(RetryPolicy::NONE).timeout(TRANSFER_TIMEOUT).build().map_err(|error| fail(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| fail(error.to_string()))?;
    let path = format!("/cache/{name}");
    for attempt in 1.. {
        let error = match runtime.block_on(client.download(&path, to)) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if attempt >= ATTEMPTS || matches!(error.status(), Some(404 | 410)) {
            return Err(fail(error.to_string()));
        }
        println!("attempt {attempt} to fetch {name} failed ({error}); trying again");
        std::thread::sleep(pause);
    }
    Err(fail("no attempt was made".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A server that gives the answers in turn, the last one for ever.
    fn server(answers: &'static [&'static str]) -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).unwrap();
                let at = counter.fetch_add(1, Ordering::SeqCst) as usize;
                let answer = answers.get(at).or(answers.last()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (url, calls)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

    fn attempt(answers: &'static [&'static str]) -> (Result<(), Failure>, u32, bool) {
        let (url, calls) = server(answers);
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("s.tgz");
        let result = fetch_with_pause(&url, "s.tgz", &to, Duration::from_millis(1));
        (result, calls.load(Ordering::SeqCst), to.exists())
    }

    #[test]
    fn short_bodies_and_faults_are_tried_again() {
        let (result, calls, there) = attempt(&[SHORT, BUSY, OK]);
        assert!(result.is_ok() && there);
        assert_eq!(calls, 3);
    }

    #[test]
    fn a_404_ends_at_once() {
        let (result, calls, there) = attempt(&[GONE]);
        let failure = result.unwrap_err();
        assert_eq!((failure.exit_code(), calls, there), (203, 1, false));
        assert!(failure.text.contains("s.tgz"), "{}", failure.text);
    }

    #[test]
    fn three_attempts_are_enough() {
        let (result, calls, there) = attempt(&[BUSY]);
        assert_eq!((result.unwrap_err().exit_code(), calls, there), (203, 3, false));
    }
}

//! How news leaves the system: mail by a relay or a `sendmail` program, and webhooks.
//!
//! Owns the wire of both and nothing else. One call sends once, within a deadline; who calls decides whether and when to try again. It must not
//! know tasks, jobs, settings or the database.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod hook;
pub mod mail;

use std::sync::Once;
use std::time::Duration;

/// Longest time of one delivery: a relay that greylists or a receiver that thinks is asked again later.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// One sentence for people.
    pub reason: String,
    /// Whether it would be the same another time: the address is wrong, the receiver is gone for good.
    pub lasting: bool,
}

impl Failure {
    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: false }
    }
    fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: true }
    }
}

/// Runs a delivery within [`DEADLINE`].
async fn in_time(what: &str, delivery: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    match tokio::time::timeout(DEADLINE, delivery).await {
        Ok(result) => result,
        Err(_) => Err(Failure::passing(format!("{what} gave no answer within {} seconds", DEADLINE.as_secs()))),
    }
}

/// Installs ring as the process's provider of cryptography unless the program chose one.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error only says that another part of the program was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// An error with what is behind it, outermost first.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

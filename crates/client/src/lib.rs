//! Typed HTTP client of the API: base address, identity, retry, envelopes, files.
//!
//! Owns how a call travels to a server and how its failure is told to a person.
//! Must not know server internals, domain rules, or what a call is for: the
//! worker and the command line build their own requests on [`Client::get`],
//! [`Client::post`] and the `own_*` calls.

mod base;
mod client;
mod envelope;
mod error;
pub mod idp;
mod retry;
mod tls;
mod transfer;

pub use base::BaseUrl;
pub use client::{Client, ClientBuilder, TokenProvider};
pub use envelope::Envelope;
pub use error::ClientError;
pub use retry::{Backoff, RetryPolicy};

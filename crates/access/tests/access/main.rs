//! Certificates from outside: chains that OpenSSL and VOMS make, and what OpenSSL says of them.
//!
//! Names of tests say what they need: `peer_` the programs `openssl` and `voms-proxy-fake`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authority;
mod peer_openssl;
mod peer_voms;
mod reload;

//! Callers whom X.509 certificates vouch for: certificates, RFC 3820 proxies, VOMS attributes.
//!
//! Owns: reading ([`cert`], [`crl`], [`voms`], on [`der`]), the trusted CAs ([`trust`]), whether a chain holds ([`chain`]), and who its holder is here
//! ([`caller`]); [`Certificates`] is the door with all of it. [`fault`] tells people what is wrong with a chain, [`expiry`] what ends when. Must not know:
//! handshakes, HTTP.

pub mod caller;
pub mod cert;
mod certificates;
pub mod chain;
pub mod crl;
pub mod der;
pub mod expiry;
pub mod fault;
pub mod forward;
pub mod mapfile;
pub mod name;
mod oid;
pub mod policy;
mod refusal;
pub mod sign;
pub mod trust;
pub mod voms;

pub use certificates::{Certificates, Places, PlacesError};
pub use refusal::{Refusal, date};

use ring::digest::{Context, SHA256};

/// Most certificates of a chain that are looked at: a proxy of a proxy of a proxy below three CAs has seven.
pub const MAX_CHAIN: usize = 16;

/// The certificates that a caller showed, each DER: its own first, then those that vouch for it. Nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    chain: Vec<Vec<u8>>,
    digest: [u8; 32],
}

impl Shown {
    /// A chain; None when it is empty. What is beyond [`MAX_CHAIN`] is kept out: a chain that needs it does not hold.
    #[must_use]
    pub fn new(chain: impl Iterator<Item = Vec<u8>>) -> Option<Self> {
        let chain: Vec<Vec<u8>> = chain.take(MAX_CHAIN).collect();
        let mut context = Context::new(&SHA256);
        for certificate in &chain {
            context.update(&u64::try_from(certificate.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(certificate);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        (!chain.is_empty()).then_some(Self { chain, digest })
    }

    /// The certificates, DER.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// SHA-256 of the whole chain.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

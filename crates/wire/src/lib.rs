//! What travels between the system and its peers: envelopes, pilot messages,
//! task parameters, job specifications and Python literals.
//!
//! Owns the serde types of the API and the pilot protocol and the small
//! languages they embed. Must not know domain rules, statuses or storage: it
//! depends on no other crate of this workspace.

pub mod literal;

//! What travels between the system and its peers: envelopes, pilot messages,
//! task parameters, job specifications and Python literals.
//!
//! Owns the serde types of the API and the pilot protocol and the small
//! languages they embed. Must not know domain rules, statuses or storage: it
//! depends on no other crate of this workspace.

pub mod datetime;
pub mod envelope;
pub mod job_dict;
pub mod job_spec;
pub mod lenient;
pub mod literal;
pub mod pilot;
mod record;
pub mod status_code;
pub mod task_params;

pub use envelope::Envelope;
pub use literal::Literal;
pub use status_code::StatusCode;
pub use task_params::TaskParameters;

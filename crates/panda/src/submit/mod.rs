//! From the options of `submit` and `run` to a task on the server.
//!
//! Owns the order: name, inputs, sandbox, parameters, upload, submission. What is sent has the shape that prun sends (`spec/client.md`
//! section 7), so the server sees no difference. Must not know how the answer is shown.

mod command;
mod dag;
mod inputs;
mod name;
mod needs;
mod outputs;
mod params;
mod sandbox;
mod send;

pub use command::{encode as encoded, quote as quoted};
pub use needs::seconds;
pub use send::{Prepared, prepare, register_inputs, submit};

//! Makes jobs: chooses the queue, builds the library, writes run and merge jobs.

pub mod assign;
pub mod broker;
pub mod build;
mod cut;
pub mod events;
mod extras;
pub mod gate;
pub mod job;
pub mod merge;
mod naming;
pub(crate) mod node;
pub mod order;
mod place;
mod plugin;
mod secondary;
pub mod turn;
mod words;
mod write;

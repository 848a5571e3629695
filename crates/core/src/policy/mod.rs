//! Decisions over many rows, as pure functions: how a task is split, what its jobs' texts and names are, where a job runs, in which
//! order, and whether it is tried again.
//!
//! It must not know how rows are stored nor which VO they belong to.

pub mod brake;
pub mod broker;
pub mod dag;
pub mod events;
pub mod feed;
pub mod label;
pub mod load;
pub mod names;
pub mod nucleus;
pub mod params;
pub mod priority;
pub mod ram;
pub mod rebroker;
pub mod resource;
pub mod retention;
pub mod retry;
pub mod rules;
pub mod scout;
pub mod share;
pub mod split;
pub mod text;
pub mod throttle;
pub mod turn;
pub mod usage;

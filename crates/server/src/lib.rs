//! The method table, dispatcher, parameters, uploads and the old pilot wire.
//!
//! Owns HTTP: from the accept loop to the last byte of an answer. Must not know
//! SQL, nor decide anything about tasks and jobs: a handler translates, calls one
//! operation of `panda_ops`, and answers.
//!
//! Where to start: [`methods`] is the table of contents of the API; one file per
//! `<noun>/<verb>` beside it; [`dispatch`] is the way from a request to a method.

pub mod answer;
pub mod args;
pub mod async_process;
pub mod audit;
pub mod body;
pub mod creds;
pub mod ctx;
pub mod data_carousel;
pub mod dispatch;
pub mod event;
pub mod file_server;
pub mod forwarded;
pub mod harvester;
pub mod idds;
pub mod job;
pub mod legacy;
pub mod limit;
pub mod metaconfig;
pub mod methods;
pub mod openapi;
pub mod own;
pub mod page;
pub mod pilot;
pub mod query;
pub mod queue_doc;
pub mod serve;
pub mod statics;
pub mod statistics;
pub mod system;
pub mod task;
pub mod tls;
pub mod trust;
pub mod upload;
pub mod workflow;

pub use answer::{Answer, Data, Refusal, Rejection};
pub use args::Args;
pub use ctx::{BoxFuture, Ctx, Options, ServerState};

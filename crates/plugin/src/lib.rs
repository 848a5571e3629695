//! Behaviour that an experiment brings: traits, a registry by name, and the host of child processes that implement them.
//!
//! This room must not know SQL or HTTP. A plug-in is never called inside a database transaction, and whatever becomes of it, its caller gets
//! an [`Error`] that says whether to try again: a broken plug-in holds the work that needs it and nothing else.

mod brokerage;
mod data;
mod error;
pub mod host;
mod kind;
mod naming;
mod notify;
mod registry;
mod remote;
mod retry;

pub use brokerage::{Brokerage, BrokerageAsk, Candidate, Preference, Preferences};
pub use data::{DataManagement, Dataset, File, FilePage, Replica};
pub use error::Error;
pub use kind::Kind;
pub use naming::{Namer, NamesAsk, Naming, NamingService, OutputName, Unnamed};
pub use notify::Notifier;
pub use registry::Registry;
pub use remote::Remote;
pub use retry::{JobError, Judgement, RetryAsk, RetryPolicy, Tried};

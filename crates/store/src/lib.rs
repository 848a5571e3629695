//! Schema, SQL texts, dialects, drivers, batches and group commit.
//!
//! The only room that knows SQL. What others see: [`Store`], [`Batch`], and the functions of [`query`]. It must not know HTTP or policy.
//! SQL text stands in `query/` and `schema/` only; driver crates are named in `driver/` only.

pub mod batch;
#[cfg(all(test, feature = "postgres", feature = "mysql"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod catalogue;
pub mod dialect;
pub mod driver;
mod error;
mod heads;
mod migrate;
pub mod query;
pub mod schema;
pub mod stmt;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod value;
pub mod wake;

pub use batch::Batch;
pub use driver::migration_plan;
pub use error::{Error, OpenError};
pub use heads::Key;
pub use store::{IdKind, Store};
pub use value::{Row, Value};
pub use wake::{Topic, Wake};

/// Most values in one `IN` list (Oracle's limit is 1,000).
pub const MAX_IN_LIST: usize = 1_000;

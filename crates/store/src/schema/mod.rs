//! The schema as numbered steps: one DDL statement a step in a small vocabulary of types that each dialect spells its own way.
//!
//! Vocabulary: `ID` and `INT` (64-bit), `REAL`, `MICROS` (microseconds UTC), `NAME(n)` (short text, compared byte by byte), `TEXT`,
//! `DOC` (long text that is only read whole). Fragments: `{table}` (table options), `{table norowid}` (clustered by its key), `{table hot}` (updated in
//! place), `{only: COND}` (a partial index where the backend has them), `{where: postgres, mysql}` (a step of some backends only). Identifiers have at most 30 bytes and no column tells '' from NULL, so that Oracle fits later.
//! Until the first tag the steps are edited in place; afterwards only appended.

mod jobs;
pub(crate) mod own;
mod support;
mod tasks;

/// Version that this program writes and expects: the number of steps.
#[must_use]
pub fn version() -> usize {
    steps().count()
}

/// Every step in order.
pub fn steps() -> impl Iterator<Item = &'static str> {
    support::STEPS.iter().chain(tasks::STEPS).chain(jobs::STEPS).copied()
}

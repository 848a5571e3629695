//! Every SQL text, one module a noun, and the typed functions over them.
//!
//! A function either reads (async, takes a [`Store`](crate::Store)) or adds guarded statements to a [`Batch`](crate::Batch); nothing here
//! decides. Rows become plain structs whose text codes are decoded by `core`.

use crate::stmt::Stmt;

pub mod archive;
pub mod cache;
pub mod check;
pub mod dataset;
pub mod decision;
pub mod effect;
pub mod grant;
pub mod harvester;
pub mod hold;
pub mod job;
pub mod journal;
pub mod lease;
pub mod old;
pub mod person;
pub mod queue;
pub mod retry_rule;
pub mod setting;
pub mod share;
pub mod snapshot;
pub mod task;
pub mod token;
pub mod vo;
pub mod worker;

/// Most rows a page of any list may hold.
pub const MAX_PAGE: i64 = 1_000;

/// The whole catalogue, for the test that prepares every statement on every backend.
#[must_use]
pub fn catalogue() -> Vec<&'static Stmt> {
    [
        archive::expire::ALL,
        archive::job::ALL,
        archive::shift::ALL,
        archive::task::ALL,
        cache::ALL,
        check::ALL,
        dataset::ALL,
        dataset::input::ALL,
        dataset::keeper::ALL,
        dataset::place::ALL,
        decision::ALL,
        effect::ALL,
        grant::ALL,
        harvester::ALL,
        hold::ALL,
        job::claim::ALL,
        job::count::ALL,
        job::file::ALL,
        job::library::ALL,
        job::list::ALL,
        job::page::ALL,
        job::past::ALL,
        job::report::ALL,
        job::transition::ALL,
        journal::ALL,
        lease::ALL,
        old::ALL,
        person::ALL,
        queue::ALL,
        retry_rule::ALL,
        setting::ALL,
        share::ALL,
        snapshot::ALL,
        task::dataset::ALL,
        task::file::ALL,
        task::list::ALL,
        task::moved::ALL,
        task::page::ALL,
        task::transition::ALL,
        token::ALL,
        vo::ALL,
        worker::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}

/// Decodes a code strictly; an unknown one means a newer program wrote it.
pub(crate) fn code<T>(what: &str, text: &str, parsed: Option<T>) -> Result<T, crate::Error> {
    parsed.ok_or_else(|| crate::Error::Decode(format!("{what} `{text}` is unknown to this program; a newer one wrote it")))
}

/// A sum of whole numbers; some backends answer a real, and nothing when there is no row.
pub(crate) fn sum(row: &crate::Row, at: usize) -> Result<i64, crate::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "a sum of whole numbers")]
    let sum = row.opt_real(at)?.unwrap_or(0.0) as i64;
    Ok(sum)
}

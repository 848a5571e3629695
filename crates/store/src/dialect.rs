//! How each backend spells types, fragments and binds.
//!
//! A statement is compiled once a dialect into a [`Compiled`] text with numbered binds. This module knows syntax only: it runs nothing and
//! names no driver.

mod compile;
mod ddl;
mod fragments;

pub(crate) use compile::{Bound, Compiled, Texts};
pub(crate) use ddl::ddl;

/// Sizes to which a list of an `IN (:x*)` bind is padded where it is expanded into single binds, so that a statement has a bounded number
/// of texts (and of prepared statements).
pub(crate) const LIST_SIZES: [usize; 6] = [1, 4, 16, 64, 256, crate::MAX_IN_LIST];

//! Which data sets of the catalogue an input is: names, the constituents of containers, what is not there, what may grow.

use std::collections::BTreeSet;

use panda_ops::Ops;
use panda_store::query::dataset::{self, DatasetRow, input, keeper};

use crate::{EngineError, finish::catalogue::plain_name};

/// Containers within containers are opened so deep.
const MAX_DEPTH: usize = 5;

/// An input's data sets, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Parts {
    /// Rows of plain data sets, each once.
    pub ids: Vec<i64>,
    /// Names that do not exist.
    pub missing: Vec<String>,
    /// Names that were looked at, containers and what is missing included: a change of one of them may change the input.
    pub names: Vec<String>,
    /// Whether one of them is open.
    pub open: bool,
    /// Data sets that are there in part, or that may grow.
    pub growing: Vec<DatasetRow>,
    /// Closed data sets that are there in whole.
    pub whole: Vec<DatasetRow>,
    /// Whether there are more than are looked at.
    pub too_many: bool,
}

/// Looks the names up.
pub async fn resolve(ops: &Ops, vo: &str, names: &[String]) -> Result<Parts, EngineError> {
    let mut parts = Parts::default();
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = plain_name(name);
        parts.names.push(plain.to_owned());
        match dataset::by_name(&ops.store, vo, plain).await? {
            Some(row) => open(ops, &mut parts, &mut seen, row).await?,
            None => parts.missing.push(name.clone()),
        }
    }
    Ok(parts)
}

/// Adds a data set, or the constituents of a container in its place.
async fn open(ops: &Ops, parts: &mut Parts, seen: &mut BTreeSet<i64>, row: DatasetRow) -> Result<(), EngineError> {
    let mut stack = vec![(row, 0)];
    while let Some((row, depth)) = stack.pop() {
        if !seen.insert(row.id) {
            continue;
        }
        if seen.len() > usize::try_from(input::MAX_PARTS).unwrap_or(usize::MAX) {
            parts.too_many = true;
            return Ok(());
        }
        parts.open |= row.state == "open";
        if row.state == "open" || row.state == keeper::ARRIVING {
            parts.growing.push(row.clone());
        } else {
            parts.whole.push(row.clone());
        }
        if depth > 0 {
            parts.names.push(row.name.clone());
        }
        let inner = if depth < MAX_DEPTH { input::parts(&ops.store, row.id).await? } else { Vec::new() };
        if inner.is_empty() {
            parts.ids.push(row.id);
        }
        stack.extend(inner.into_iter().rev().map(|row| (row, depth + 1)));
    }
    Ok(())
}

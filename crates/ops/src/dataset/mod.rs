//! The neutral catalogue of data sets: registering files of this machine or uploaded ones, listing, and what submissions ask of it.

pub mod add;
pub mod manifest;
pub mod place;
pub mod read;

use std::collections::HashMap;

use panda_access::Principal;
use panda_core::policy::names;
use panda_store::{
    Batch, IdKind,
    query::dataset::{self, DatasetFile, DatasetRow},
};

use crate::{Ops, OpsError};

/// Longest name of a data set, bytes.
pub const MAX_NAME: usize = 255;

/// A data set's name taken apart: scope (written before a colon, else by the rule of fields) and the name without trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Scope.
    pub scope: String,
    /// Name, as the catalogue has it.
    pub name: String,
}

impl Name {
    /// Reads `[scope:]name[/]`.
    pub fn parse(text: &str) -> Result<Self, OpsError> {
        let (scope, name) = names::unscoped(text.trim());
        let name = name.trim_end_matches('/');
        let plain = |t: &str| t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'));
        let scope = scope.map_or_else(|| names::scope(name), str::to_owned);
        if name.is_empty() || name.len() > MAX_NAME || !plain(name) || name.starts_with('.') {
            return Err(OpsError::refused(format!("`{text}` is no data set name; use letters, digits, `.`, `_`, `-`, at most {MAX_NAME}")));
        }
        // Scopes become directories.
        if scope.is_empty() || scope.len() > 100 || !plain(&scope) || scope.split('.').any(str::is_empty) {
            return Err(OpsError::refused(format!("`{scope}` is no scope; use letters, digits, `_`, `-` and single dots, at most 100")));
        }
        Ok(Self { scope, name: name.to_owned() })
    }
}

/// The VO whose catalogue the caller works with: its own, else the only configured one.
pub async fn vo_of(ops: &Ops, who: &Principal) -> Result<String, OpsError> {
    if let Some(vo) = &who.vo {
        return Ok(vo.clone());
    }
    let vos = ops.vos().await?;
    let mut names = vos.names();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        _ => Err(OpsError::refused("your identity names no VO; send one in `Origin` or use a token that has one")),
    }
}

/// The row of a data set, made when it is new; outputs are registered in it.
pub async fn ensure(ops: &Ops, vo: &str, name: &Name, person: i64) -> Result<DatasetRow, OpsError> {
    for _ in 0..2 {
        if let Some(found) = dataset::by_name(&ops.store, vo, &name.name).await? {
            return Ok(found);
        }
        let row = DatasetRow {
            id: ops.store.id(IdKind::Row).await?,
            vo: vo.to_owned(),
            name: name.name.clone(),
            scope: name.scope.clone(),
            state: "open".into(),
            person_id: Some(person),
            n_files: 0,
            n_bytes: 0,
            created_us: ops.now().0,
        };
        let mut batch = Batch::new();
        dataset::add(&mut batch, &row);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(row),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OpsError::Internal(format!("data set {} of {vo} appears and vanishes", name.name)))
}

/// The catalogue as one submission sees it: each data set is read once.
#[derive(Debug)]
pub struct Catalogue<'a> {
    ops: &'a Ops,
    person: i64,
    inputs: HashMap<String, Option<DatasetRow>>,
    outputs: HashMap<String, i64>,
}

impl<'a> Catalogue<'a> {
    /// Nothing read yet; new data sets will belong to `person`.
    #[must_use]
    pub fn new(ops: &'a Ops, person: i64) -> Self {
        Self { ops, person, inputs: HashMap::new(), outputs: HashMap::new() }
    }
    /// An input file, when its data set is registered here; a file that is not in its registered data set is refused.
    pub async fn input(&mut self, vo: &str, dataset: &str, lfn: &str) -> Result<Option<DatasetFile>, OpsError> {
        if dataset.is_empty() {
            return Ok(None);
        }
        if !self.inputs.contains_key(dataset) {
            let name = Name::parse(dataset)?;
            let row = dataset::by_name(&self.ops.store, vo, &name.name).await?;
            self.inputs.insert(dataset.to_owned(), row);
        }
        let Some(Some(row)) = self.inputs.get(dataset) else { return Ok(None) };
        match dataset::file(&self.ops.store, row.id, lfn).await? {
            Some(file) => Ok(Some(file)),
            None => Err(OpsError::refused(format!("data set {} has no file `{lfn}`", row.name))),
        }
    }
    /// The row of an output data set, made when it is new.
    pub async fn output(&mut self, vo: &str, dataset: &str) -> Result<i64, OpsError> {
        if let Some(id) = self.outputs.get(dataset) {
            return Ok(*id);
        }
        let row = ensure(self.ops, vo, &Name::parse(dataset)?, self.person).await?;
        if row.person_id.is_some_and(|p| p != self.person) {
            return Err(OpsError::refused(format!("data set {} belongs to somebody else; choose another name", row.name)));
        }
        self.outputs.insert(dataset.to_owned(), row.id);
        Ok(row.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let of = |t: &str| Name::parse(t).map(|n| (n.scope, n.name));
        assert_eq!(of("user.bob.in/").unwrap(), ("user.bob".into(), "user.bob.in".into()));
        assert_eq!(of("mc:mc23.evnt").unwrap(), ("mc".into(), "mc23.evnt".into()));
        for bad in ["", "/", "a/b", "..", "a b", "x:", ":y", "../x:y", "a..b:y"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}

//! Uploaded files that came to the folder of uploads by another way than the upload: noted, so that their owner's client finds them again.

use panda_access::{Object, Principal, Right, table};
use panda_store::{
    Batch,
    query::{
        cache::{self, CacheFile},
        person,
    },
};

use crate::{Ops, OpsError, blob::is_safe_name};

/// A file to be noted.
#[derive(Debug, Clone)]
pub struct File<'a> {
    /// Whose it is: the shown name.
    pub user: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Bytes.
    pub size: i64,
    /// As clients compute it.
    pub checksum: &'a str,
}

/// Notes a file.
///
/// # Errors
/// One of that name is known (`WARNING: file exist`); no such user; nonsense.
pub async fn register(ops: &Ops, who: &Principal, f: &File<'_>) -> Result<(), OpsError> {
    let vo = who.vo.clone().unwrap_or_default();
    table::allowed(Right::CacheRegister, Some(who), Some(Object::of_vo(&vo)))?;
    if !is_safe_name(f.name) {
        return Err(OpsError::refused("the file name is not allowed"));
    }
    if f.size < 0 || f.checksum.is_empty() || f.checksum.len() > 64 {
        return Err(OpsError::refused("file_size must not be negative, and checksum has 1 to 64 characters"));
    }
    let people = person::by_name(&ops.store, f.user).await?;
    let owner = people.first().ok_or_else(|| OpsError::NotFound(format!("there is no user `{}`", f.user)))?;
    if cache::get(&ops.store, f.name).await?.is_some() {
        return Err(OpsError::refused("WARNING: file exist"));
    }
    let row = CacheFile {
        name: f.name.to_owned(),
        person_id: owner.id,
        vo: who.vo.clone(),
        fsize: f.size,
        checksum: f.checksum.to_owned(),
        touched_us: ops.now().0,
    };
    let mut batch = Batch::new();
    cache::add(&mut batch, &row);
    match ops.store.apply(batch).await {
        Err(e) if e.is_conflict() => Err(OpsError::refused("WARNING: file exist")),
        other => Ok(other?),
    }
}

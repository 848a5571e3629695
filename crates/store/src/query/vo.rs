//! Experiments (VOs) that were added at run time.

use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read LIST = "vo.list", "SELECT name, doc, created_us, modified_us FROM vo WHERE name > :after ORDER BY name LIMIT 1000";
    write SET = "vo.set", "INSERT INTO vo (name, doc, created_us, modified_us) VALUES (:name, :doc, :now, :now) {upsert(name): doc,modified_us}";
    write DELETE = "vo.delete", "DELETE FROM vo WHERE name = :name";
}

/// A VO as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoRow {
    /// Name, lower case.
    pub name: String,
    /// What is known of it, JSON.
    pub doc: String,
    /// When it was added, microseconds.
    pub created_us: i64,
    /// When it was changed last, microseconds.
    pub modified_us: i64,
}

/// Every VO by name; at most 1,000.
pub async fn list(store: &Store) -> Result<Vec<VoRow>, Error> {
    let rows = store.fetch(&LIST, vec![("after", " ".into())]).await?;
    let read = |r: &crate::Row| {
        Ok(VoRow { name: r.text(0)?.to_owned(), doc: r.text(1)?.to_owned(), created_us: r.int(2)?, modified_us: r.int(3)? })
    };
    rows.iter().map(read).collect()
}
/// Writes a VO.
pub fn set(batch: &mut Batch, name: &str, doc: &str, now_us: i64) {
    batch.exec(&SET, vec![("name", name.into()), ("doc", doc.into()), ("now", now_us.into())]);
}
/// Takes a VO out.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.exec(&DELETE, vec![("name", name.into())]);
}

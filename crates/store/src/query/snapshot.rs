//! Snapshots published by the loops (counts, shares).

use crate::{Batch, Error, Store, statements};

statements! {
    write SET = "snapshot.set", "INSERT INTO snapshot (name, at_us, doc) VALUES (:name, :at, :doc) {upsert(name): at_us,doc}";
    [hot] write DELETE = "snapshot.delete", "DELETE FROM snapshot WHERE name = :name";
    [hot] read GET = "snapshot.get", "SELECT at_us, doc FROM snapshot WHERE name = :name LIMIT 1";
    [hot] read AT = "snapshot.at", "SELECT at_us FROM snapshot WHERE name = :name LIMIT 1";
    // Snapshots of one kind: `kind:…`.
    [hot] read KIND = "snapshot.kind", "SELECT name, at_us FROM snapshot WHERE name > :from AND name < :to ORDER BY name LIMIT 10000";
}

/// Publishes a snapshot (JSON).
pub fn set(batch: &mut Batch, name: &str, at_us: i64, doc: &str) {
    batch.exec(&SET, vec![("name", name.into()), ("at", at_us.into()), ("doc", doc.into())]);
}
/// Reads a snapshot: its time and document.
pub async fn get(store: &Store, name: &str) -> Result<Option<(i64, String)>, Error> {
    let rows = store.fetch(&GET, vec![("name", name.into())]).await?;
    rows.first().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).transpose()
}
/// Takes a snapshot away.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.exec(&DELETE, vec![("name", name.into())]);
}
/// When a snapshot was published.
pub async fn at(store: &Store, name: &str) -> Result<Option<i64>, Error> {
    store.fetch(&AT, vec![("name", name.into())]).await?.first().map(|r| r.int(0)).transpose()
}
/// What stands behind `kind:` in the names of such snapshots, with their times; at most 10,000.
pub async fn kind(store: &Store, kind: &str) -> Result<Vec<(String, i64)>, Error> {
    let (from, to) = (format!("{kind}:"), format!("{kind};"));
    let rows = store.fetch(&KIND, vec![("from", from.as_str().into()), ("to", to.as_str().into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.trim_start_matches(&from).to_owned(), r.int(1)?))).collect()
}

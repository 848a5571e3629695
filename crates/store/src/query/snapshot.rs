//! Leases, and snapshots published by the loops (counts, shares).

use crate::{Batch, Error, Store, statements};

statements! {
    write SET = "snapshot.set", "INSERT INTO snapshot (name, at_us, doc) VALUES (:name, :at, :doc) {upsert(name): at_us,doc}";
    [hot] write DELETE = "snapshot.delete", "DELETE FROM snapshot WHERE name = :name";
    [hot] read GET = "snapshot.get", "SELECT at_us, doc FROM snapshot WHERE name = :name LIMIT 1";
    [hot] read AT = "snapshot.at", "SELECT at_us FROM snapshot WHERE name = :name LIMIT 1";
    // Snapshots of one kind: `kind:…`.
    [hot] read KIND = "snapshot.kind", "SELECT name, at_us FROM snapshot WHERE name > :from AND name < :to ORDER BY name LIMIT 10000";
    [hot] read LEASE_GET = "lease.get", "SELECT holder, epoch, until_us FROM lease WHERE name = :name LIMIT 1";
    insert LEASE_ADD = "lease.add" => lease (name: Text, holder: Text, epoch: Int, until_us: Int), "";
    write LEASE_TAKE = "lease.take", "UPDATE lease SET holder = :holder, epoch = epoch + 1, until_us = :until WHERE name = :name AND epoch = :epoch";
    write LEASE_RENEW = "lease.renew", "UPDATE lease SET until_us = :until WHERE name = :name AND epoch = :epoch";
    write LEASE_GUARD = "lease.guard", "UPDATE lease SET epoch = epoch WHERE name = :name AND epoch = :epoch";
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The holder, or None when it was given back.
    pub holder: Option<String>,
    /// Rises with each change of holder.
    pub epoch: i64,
    /// Microseconds UTC.
    pub until_us: i64,
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
/// The lease of this name.
pub async fn lease(store: &Store, name: &str) -> Result<Option<Lease>, Error> {
    let rows = store.fetch(&LEASE_GET, vec![("name", name.into())]).await?;
    rows.first().map(|r| Ok(Lease { holder: r.opt_text(0)?.map(str::to_owned), epoch: r.int(1)?, until_us: r.int(2)? })).transpose()
}
/// Makes the lease's row; a duplicate means that another process was first.
pub fn lease_add(batch: &mut Batch, name: &str, holder: &str, until_us: i64) {
    batch.insert(&LEASE_ADD, vec![name.into(), holder.into(), 1.into(), until_us.into()]);
}
/// Takes a lease that still has `epoch`; the new epoch is one more.
pub fn lease_take(batch: &mut Batch, name: &str, holder: &str, epoch: i64, until_us: i64) {
    let binds = vec![("holder", holder.into()), ("until", until_us.into()), ("name", name.into()), ("epoch", epoch.into())];
    batch.guard(&LEASE_TAKE, binds, 1);
}
/// Renews a lease that is still ours.
pub fn lease_renew(batch: &mut Batch, name: &str, epoch: i64, until_us: i64) {
    batch.guard(&LEASE_RENEW, vec![("until", until_us.into()), ("name", name.into()), ("epoch", epoch.into())], 1);
}
/// Makes the batch a conflict when the lease has gone to somebody else.
pub fn lease_guard(batch: &mut Batch, name: &str, epoch: i64) {
    batch.guard(&LEASE_GUARD, vec![("name", name.into()), ("epoch", epoch.into())], 1);
}

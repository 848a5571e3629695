//! Leases: who does a work that one process does at a time, and revisions of what is checked as a whole.

use crate::{Batch, Error, Row, Store, statements};

statements! {
    [hot] read GET = "lease.get", "SELECT name, holder, epoch, until_us FROM lease WHERE name = :name LIMIT 1";
    // Leases of one kind: `kind:…`.
    [hot] read KIND = "lease.kind", "SELECT name, holder, epoch, until_us FROM lease WHERE name > :from AND name < :to ORDER BY name LIMIT 1000";
    insert ADD = "lease.add" => lease (name: Text, holder: Text, epoch: Int, until_us: Int), "";
    write TAKE = "lease.take", "UPDATE lease SET holder = :holder, epoch = epoch + 1, until_us = :until WHERE name = :name AND epoch = :epoch";
    write RENEW = "lease.renew", "UPDATE lease SET until_us = :until WHERE name = :name AND epoch = :epoch";
    write DROP = "lease.drop", "DELETE FROM lease WHERE name = :name AND epoch = :epoch";
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name; of one of a kind what stands behind `kind:`.
    pub name: String,
    /// The holder, or None when it was given back.
    pub holder: Option<String>,
    /// Rises with each change of holder.
    pub epoch: i64,
    /// Microseconds UTC.
    pub until_us: i64,
}

fn read(r: &Row) -> Result<Lease, Error> {
    Ok(Lease { name: r.text(0)?.to_owned(), holder: r.opt_text(1)?.map(str::to_owned), epoch: r.int(2)?, until_us: r.int(3)? })
}

/// The lease of this name.
pub async fn get(store: &Store, name: &str) -> Result<Option<Lease>, Error> {
    store.fetch(&GET, vec![("name", name.into())]).await?.first().map(read).transpose()
}
/// The leases `kind:…` by name; at most 1,000.
pub async fn kind(store: &Store, kind: &str) -> Result<Vec<Lease>, Error> {
    let (from, to) = (format!("{kind}:"), format!("{kind};"));
    let rows = store.fetch(&KIND, vec![("from", from.as_str().into()), ("to", to.as_str().into())]).await?;
    let short = |l: Lease| Lease { name: l.name.strip_prefix(&from).unwrap_or(&l.name).to_owned(), ..l };
    rows.iter().map(|r| read(r).map(short)).collect()
}
/// Makes the lease's row; a duplicate means that another process was first.
pub fn add(batch: &mut Batch, name: &str, holder: &str, until_us: i64) {
    batch.insert(&ADD, vec![name.into(), holder.into(), 1.into(), until_us.into()]);
}
/// Takes a lease that still has `epoch`; the new epoch is one more.
pub fn take(batch: &mut Batch, name: &str, holder: &str, epoch: i64, until_us: i64) {
    let binds = vec![("holder", holder.into()), ("until", until_us.into()), ("name", name.into()), ("epoch", epoch.into())];
    batch.guard(&TAKE, binds, 1);
}
/// Renews a lease that is still ours, or gives it back (`until_us` 0).
pub fn renew(batch: &mut Batch, name: &str, epoch: i64, until_us: i64) {
    batch.guard(&RENEW, vec![("until", until_us.into()), ("name", name.into()), ("epoch", epoch.into())], 1);
}
/// Takes away the row of a lease that nobody needs any more.
pub fn drop(batch: &mut Batch, name: &str, epoch: i64) {
    batch.exec(&DROP, vec![("name", name.into()), ("epoch", epoch.into())]);
}

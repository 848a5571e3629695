//! Files under `/cache`: sandboxes and other uploads.

use crate::{Batch, Error, Row, Store, statements};

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// Name, also its path component under `/cache`.
    pub name: String,
    /// Who uploaded it.
    pub person_id: i64,
    /// Bytes.
    pub fsize: i64,
    /// As the client computes it: the CRC-32 in a gzip trailer in decimal, else `ad:` and eight hex digits.
    pub checksum: String,
    /// Microseconds UTC.
    pub touched_us: i64,
}

statements! {
    [hot] read GET = "cache.get", "SELECT name, person_id, fsize, checksum, touched_us FROM cache_file WHERE name = :name LIMIT 1";
    [hot] read SAME = "cache.same", "SELECT name, person_id, fsize, checksum, touched_us FROM cache_file WHERE person_id = :person AND fsize = :fsize AND checksum = :checksum AND touched_us > :since ORDER BY name LIMIT 1";
    insert ADD = "cache.add" => cache_file (name: Text, person_id: Int, fsize: Int, checksum: Text, created_us: Int, touched_us: Int), "";
    write TOUCH = "cache.touch", "UPDATE cache_file SET touched_us = :now WHERE name = :name";
    write REPLACE = "cache.replace", "UPDATE cache_file SET person_id = :person, fsize = :fsize, checksum = :checksum, touched_us = :now WHERE name = :name";
    read OLD = "cache.old", "SELECT name, person_id, fsize, checksum, touched_us FROM cache_file WHERE touched_us < :before ORDER BY name LIMIT 500";
    write DELETE = "cache.delete", "DELETE FROM cache_file WHERE name = :name";
}

fn read(r: &Row) -> Result<CacheFile, Error> {
    Ok(CacheFile {
        name: r.text(0)?.to_owned(),
        person_id: r.int(1)?,
        fsize: r.int(2)?,
        checksum: r.text(3)?.to_owned(),
        touched_us: r.int(4)?,
    })
}
/// The file of this name.
pub async fn get(store: &Store, name: &str) -> Result<Option<CacheFile>, Error> {
    store.fetch(&GET, vec![("name", name.into())]).await?.first().map(read).transpose()
}
/// A file of the same person, size and checksum touched after `since_us`.
pub async fn same(store: &Store, person: i64, fsize: i64, checksum: &str, since_us: i64) -> Result<Option<CacheFile>, Error> {
    let binds = vec![("person", person.into()), ("fsize", fsize.into()), ("checksum", checksum.into()), ("since", since_us.into())];
    store.fetch(&SAME, binds).await?.first().map(read).transpose()
}
/// Adds a file.
pub fn add(batch: &mut Batch, f: &CacheFile) {
    batch.insert(
        &ADD,
        vec![(&f.name).into(), f.person_id.into(), f.fsize.into(), (&f.checksum).into(), f.touched_us.into(), f.touched_us.into()],
    );
}
/// Refreshes the time of use.
pub fn touch(batch: &mut Batch, name: &str, now_us: i64) {
    batch.exec(&TOUCH, vec![("now", now_us.into()), ("name", name.into())]);
}
/// Records new content under an existing name.
pub fn replace(batch: &mut Batch, f: &CacheFile) {
    batch.guard(
        &REPLACE,
        vec![
            ("person", f.person_id.into()),
            ("fsize", f.fsize.into()),
            ("checksum", (&f.checksum).into()),
            ("now", f.touched_us.into()),
            ("name", (&f.name).into()),
        ],
        1,
    );
}
/// Files not used since `before_us`; at most 500.
pub async fn old(store: &Store, before_us: i64) -> Result<Vec<CacheFile>, Error> {
    store.fetch(&OLD, vec![("before", before_us.into())]).await?.iter().map(read).collect()
}
/// Forgets a file.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.exec(&DELETE, vec![("name", name.into())]);
}

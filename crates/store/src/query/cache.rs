//! Files under `/cache`: sandboxes and other uploads.

use crate::{Batch, Error, Row, Store, statements};

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// Name, also its path component under `/cache`.
    pub name: String,
    /// Who uploaded it.
    pub person_id: i64,
    /// Virtual organisation of the uploader, if known.
    pub vo: Option<String>,
    /// Bytes.
    pub fsize: i64,
    /// As the client computes it: the CRC-32 in a gzip trailer in decimal, else `ad:` and eight hex digits.
    pub checksum: String,
    /// Microseconds UTC.
    pub touched_us: i64,
}

statements! {
    [hot] read GET = "cache.get", "SELECT name, person_id, vo, fsize, checksum, touched_us FROM cache_file WHERE name = :name LIMIT 1";
    [hot] read SAME = "cache.same", "SELECT name, person_id, vo, fsize, checksum, touched_us FROM cache_file WHERE person_id = :person AND fsize = :fsize AND checksum = :checksum AND touched_us > :since ORDER BY name LIMIT 1";
    insert ADD = "cache.add" => cache_file (name: Text, person_id: Int, vo: Text, fsize: Int, checksum: Text, created_us: Int, touched_us: Int), "";
    write TOUCH = "cache.touch", "UPDATE cache_file SET touched_us = :now WHERE name = :name";
    write DELETE = "cache.delete", "DELETE FROM cache_file WHERE name = :name";
    write REPLACE = "cache.replace", "UPDATE cache_file SET person_id = :person, fsize = :fsize, checksum = :checksum, touched_us = :now WHERE name = :name";
    [hot] read OLD = "cache.old", "SELECT name, person_id, vo, fsize, checksum, touched_us FROM cache_file WHERE touched_us >= :from AND touched_us < :before ORDER BY touched_us, name LIMIT :n";
    [hot] read USED = "cache.used", "SELECT DISTINCT name FROM cache_use WHERE name IN (:names*) ORDER BY name LIMIT 1000";
    [hot] write TOUCH_OLD = "cache.touch_old", "UPDATE cache_file SET touched_us = :now WHERE name = :name AND touched_us < :before";
    insert USE = "cache.use" => cache_use (name: Text, subject_id: Int), "{skip_dup(name,subject_id)}";
    read SUMS = "cache.sums", "SELECT vo, name, fsize, touched_us FROM cache_file WHERE name > :after ORDER BY name LIMIT :n";
    write DELETE_UNUSED = "cache.delete_unused", "DELETE FROM cache_file WHERE name = :name AND touched_us = :touched AND NOT EXISTS (SELECT 1 FROM cache_use u WHERE u.name = cache_file.name)";
}

fn read(r: &Row) -> Result<CacheFile, Error> {
    Ok(CacheFile {
        name: r.text(0)?.to_owned(),
        person_id: r.int(1)?,
        vo: r.opt_text(2)?.map(str::to_owned),
        fsize: r.int(3)?,
        checksum: r.text(4)?.to_owned(),
        touched_us: r.int(5)?,
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
/// Forgets a file.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.exec(&DELETE, vec![("name", name.into())]);
}
/// Adds a file.
pub fn add(batch: &mut Batch, f: &CacheFile) {
    batch.insert(
        &ADD,
        vec![
            (&f.name).into(),
            f.person_id.into(),
            f.vo.as_deref().into(),
            f.fsize.into(),
            (&f.checksum).into(),
            f.touched_us.into(),
            f.touched_us.into(),
        ],
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
/// Files last used at `from_us` or later and before `before_us`, oldest first; at most `n` and 1,000.
pub async fn old(store: &Store, from_us: i64, before_us: i64, n: i64) -> Result<Vec<CacheFile>, Error> {
    let binds = vec![("from", from_us.into()), ("before", before_us.into()), ("n", n.min(super::MAX_PAGE).into())];
    store.fetch(&OLD, binds).await?.iter().map(read).collect()
}
/// Those of these files (at most 1,000) that a task or job names.
pub async fn used(store: &Store, names: &[String]) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.fetch(&USED, vec![("names", names.to_vec().into())]).await?;
    rows.iter().map(|r| Ok(r.text(0)?.to_owned())).collect()
}
/// Notes that a task or job names a file.
pub fn use_by(batch: &mut Batch, name: &str, subject: i64) {
    batch.insert(&USE, vec![name.into(), subject.into()]);
}
/// Refreshes the time of use, if it was last used before `before_us`.
pub fn touch_old(batch: &mut Batch, name: &str, now_us: i64, before_us: i64) {
    batch.exec(&TOUCH_OLD, vec![("now", now_us.into()), ("name", name.into()), ("before", before_us.into())]);
}
/// VO, name, bytes and last use of files with a name above `after`, by name; at most `n` and 1,000.
pub async fn page(store: &Store, after: &str, n: i64) -> Result<Vec<(Option<String>, String, i64, i64)>, Error> {
    let after = if after.is_empty() { " " } else { after };
    let rows = store.fetch(&SUMS, vec![("after", after.into()), ("n", n.min(super::MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok((r.opt_text(0)?.map(str::to_owned), r.text(1)?.to_owned(), r.int(2)?, r.int(3)?))).collect()
}
/// Forgets a file that was last used at `touched_us`; a conflict when it has been used, or named by a task, since.
pub fn delete_unused(batch: &mut Batch, name: &str, touched_us: i64) {
    batch.guard(&DELETE_UNUSED, vec![("name", name.into()), ("touched", touched_us.into())], 1);
}

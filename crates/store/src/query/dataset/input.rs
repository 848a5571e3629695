//! What the feeding of tasks asks of the catalogue: constituents of containers, files by name, by row and by key, and who waits for which data set.

use super::{DatasetFile, DatasetRow, file_columns, read, read_file};
use crate::{Batch, Error, Store, query::MAX_PAGE, statements};

/// Most constituents of one container that are looked at.
pub const MAX_PARTS: i64 = 10_000;
/// Most keys of one page: a key is a number and a few bytes.
pub const MAX_KEYS: i64 = 10_000;

/// What the order of a file is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileKey {
    /// Row id.
    pub id: i64,
    /// Name.
    pub lfn: String,
    /// Number of events.
    pub n_events: Option<i64>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
}

statements! {
    [hot] read PARTS = "dataset_part.of", "SELECT d.id, d.vo, d.name, d.scope, d.state, d.person_id, d.n_files, d.n_bytes, d.created_us FROM dataset_part p JOIN dataset d ON d.id = p.part_id WHERE p.container_id = :id ORDER BY p.seq, p.part_id LIMIT 10000";
    insert PART_ADD = "dataset_part.add" => dataset_part (container_id: Int, part_id: Int, seq: Int), "{skip_dup(container_id,part_id)}";
    write PART_DELETE = "dataset_part.delete", "DELETE FROM dataset_part WHERE container_id = :id AND part_id = :part";
    [hot] read FILE_KEYS = "dataset.file_keys", "SELECT id, lfn, n_events, lumiblock FROM dataset_file WHERE dataset_id = :dataset AND lfn > :after ORDER BY lfn LIMIT :n";
    [hot] read FILES_BY_ID = "dataset.files_by_id", concat!("SELECT ", file_columns!(), " FROM dataset_file WHERE id IN (:ids*) ORDER BY id LIMIT 1000");
    [hot] read FILES_NAMED = "dataset.files_named", concat!("SELECT ", file_columns!(), " FROM dataset_file WHERE dataset_id = :dataset AND lfn IN (:names*) ORDER BY lfn LIMIT 1000");
    [hot] write LOSE = "dataset.lose", "UPDATE dataset_file SET lost = :lost WHERE dataset_id = :dataset AND lfn IN (:names*)";
    insert WATCH = "dataset_watch.add" => dataset_watch (vo: Text, name: Text, watcher_id: Int), "{skip_dup(vo,name,watcher_id)}";
    [hot] write WATCH_END = "dataset_watch.end", "DELETE FROM dataset_watch WHERE watcher_id = :id";
    // The other servers would look at every input for each of the inner rows, hence the join.
    [hot] write TOUCHED = "dataset_watch.touched", "UPDATE task_dataset SET look_us = 0 WHERE look_us > 0 AND id IN (SELECT w.watcher_id FROM dataset_watch w JOIN dataset d ON d.vo = w.vo AND d.name = w.name WHERE d.id = :id)",
        mysql: "UPDATE task_dataset t JOIN dataset_watch w ON w.watcher_id = t.id JOIN dataset d ON d.vo = w.vo AND d.name = w.name SET t.look_us = 0 WHERE d.id = :id AND t.look_us > 0";
    [hot] write TOUCHED_NAME = "dataset_watch.touched_name", "UPDATE task_dataset SET look_us = 0 WHERE look_us > 0 AND id IN (SELECT w.watcher_id FROM dataset_watch w WHERE w.vo = :vo AND w.name = :name)",
        mysql: "UPDATE task_dataset t JOIN dataset_watch w ON w.watcher_id = t.id SET t.look_us = 0 WHERE w.vo = :vo AND w.name = :name AND t.look_us > 0";
}

/// Constituents of a container in order, at most [`MAX_PARTS`]; none for a plain data set.
pub async fn parts(store: &Store, container: i64) -> Result<Vec<DatasetRow>, Error> {
    store.fetch(&PARTS, vec![("id", container.into())]).await?.iter().map(read).collect()
}
/// Makes a data set the `seq`-th constituent of a container; nothing when it is one already.
pub fn add_part(batch: &mut Batch, container: i64, part: i64, seq: i64) {
    batch.insert(&PART_ADD, vec![container.into(), part.into(), seq.into()]);
}
/// Takes a constituent out of a container.
pub fn remove_part(batch: &mut Batch, container: i64, part: i64) {
    batch.exec(&PART_DELETE, vec![("id", container.into()), ("part", part.into())]);
}
/// Keys of the files with a name above `after` ("" for the first page), by name; at most `n` and [`MAX_KEYS`].
pub async fn keys(store: &Store, dataset: i64, after: &str, n: i64) -> Result<Vec<FileKey>, Error> {
    let after = if after.is_empty() { " " } else { after };
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(MAX_KEYS).into())];
    let rows = store.fetch(&FILE_KEYS, binds).await?;
    rows.iter()
        .map(|r| Ok(FileKey { id: r.int(0)?, lfn: r.text(1)?.to_owned(), n_events: r.opt_int(2)?, lumiblock: r.opt_int(3)? }))
        .collect()
}
/// Files of these rows (at most 1,000), in the order asked for; vanished ones are left out.
pub async fn by_ids(store: &Store, ids: &[i64]) -> Result<Vec<DatasetFile>, Error> {
    let found: Vec<DatasetFile> =
        store.fetch(&FILES_BY_ID, vec![("ids", ids.to_vec().into())]).await?.iter().map(read_file).collect::<Result<_, _>>()?;
    let mut by_id: std::collections::HashMap<i64, DatasetFile> = found.into_iter().map(|f| (f.id, f)).collect();
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}
/// Files of a data set with these names (at most 1,000), by name.
pub async fn named(store: &Store, dataset: i64, names: &[String]) -> Result<Vec<DatasetFile>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let binds = vec![("dataset", dataset.into()), ("names", names.to_vec().into())];
    store.fetch(&FILES_NAMED, binds).await?.iter().map(read_file).collect()
}
/// Notes that files of a data set (at most [`MAX_PAGE`]) are lost, or back.
pub fn lose(batch: &mut Batch, dataset: i64, names: &[String], lost: bool) {
    debug_assert!(names.len() as i64 <= MAX_PAGE, "too many names");
    batch.exec(&LOSE, vec![("lost", lost.into()), ("dataset", dataset.into()), ("names", names.to_vec().into())]);
    touched(batch, dataset);
}
/// From now on a change of the data set of this name makes an input of a task be looked at again.
pub fn watch(batch: &mut Batch, vo: &str, name: &str, task_dataset: i64) {
    batch.insert(&WATCH, vec![vo.into(), name.into(), task_dataset.into()]);
}
/// Ends every watch of an input.
pub fn end_watch(batch: &mut Batch, task_dataset: i64) {
    batch.exec(&WATCH_END, vec![("id", task_dataset.into())]);
}
/// The data set has changed: inputs that watch it are looked at at once.
pub fn touched(batch: &mut Batch, dataset: i64) {
    batch.exec(&TOUCHED, vec![("id", dataset.into())]);
    batch.wake(crate::Topic::Inputs);
}
/// The same by its name.
pub fn touched_name(batch: &mut Batch, vo: &str, name: &str) {
    batch.exec(&TOUCHED_NAME, vec![("vo", vo.into()), ("name", name.into())]);
    batch.wake(crate::Topic::Inputs);
}

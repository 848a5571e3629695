//! The neutral catalogue of data sets.

pub mod input;
pub mod keeper;
pub mod place;

use crate::{Batch, Error, Row, Store, statements};

/// A data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetRow {
    /// Row id.
    pub id: i64,
    /// Virtual organisation.
    pub vo: String,
    /// Name, unique in the VO, without scope prefix and trailing slash.
    pub name: String,
    /// Scope.
    pub scope: String,
    /// `open` or `closed`; [`keeper::ARRIVING`] while its files are being copied.
    pub state: String,
    /// Owner.
    pub person_id: Option<i64>,
    /// Number of files.
    pub n_files: i64,
    /// Bytes.
    pub n_bytes: i64,
    /// Microseconds UTC.
    pub created_us: i64,
}

/// A file of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetFile {
    /// Row id.
    pub id: i64,
    /// Its data set.
    pub dataset_id: i64,
    /// Name.
    pub lfn: String,
    /// Scope.
    pub scope: String,
    /// GUID.
    pub guid: Option<String>,
    /// Bytes.
    pub fsize: Option<i64>,
    /// `ad:` or `md5:` and hex digits.
    pub checksum: Option<String>,
    /// Number of events.
    pub n_events: Option<i64>,
    /// Where it lies.
    pub surl: Option<String>,
    /// Storage endpoint.
    pub rse: Option<String>,
    /// Lumiblock.
    pub lumiblock: Option<i64>,
    /// What it belongs together with, or is to be kept apart from (split rule GB).
    pub boundary: Option<i64>,
    /// Whether it is known to be lost: listed, but nobody can read it.
    pub lost: bool,
}

/// The select list that [`read_file`] expects.
macro_rules! file_columns {
    () => {
        "id, dataset_id, lfn, scope, guid, fsize, checksum, n_events, surl, rse, lumiblock, boundary, lost"
    };
}

use file_columns;

statements! {
    [hot] read BY_NAME = "dataset.by_name", "SELECT id, vo, name, scope, state, person_id, n_files, n_bytes, created_us FROM dataset WHERE vo = :vo AND name = :name LIMIT 1";
    read LIST = "dataset.list", "SELECT id, vo, name, scope, state, person_id, n_files, n_bytes, created_us FROM dataset WHERE vo = :vo AND name > :after ORDER BY name LIMIT :n";
    insert ADD = "dataset.add" => dataset (id: Int, vo: Text, name: Text, scope: Text, state: Text, person_id: Int, n_files: Int, n_bytes: Int, created_us: Int), "";
    insert ADD_IF_NEW = "dataset.add_if_new" => dataset (id: Int, vo: Text, name: Text, scope: Text, state: Text, person_id: Int, n_files: Int, n_bytes: Int, created_us: Int), "{skip_dup(vo,name)}";
    write GROW = "dataset.grow", "UPDATE dataset SET n_files = n_files + :files, n_bytes = n_bytes + :bytes WHERE id = :id";
    write RECOUNT = "dataset.recount", "UPDATE dataset SET n_files = (SELECT COUNT(*) FROM dataset_file f WHERE f.dataset_id = dataset.id), n_bytes = (SELECT COALESCE(SUM(f.fsize), 0) FROM dataset_file f WHERE f.dataset_id = dataset.id) WHERE id = :id";
    write SET_STATE = "dataset.set_state", "UPDATE dataset SET state = :state WHERE id = :id";
    [hot] write SET_STATE_NAMED = "dataset.set_state_named", "UPDATE dataset SET state = :state WHERE vo = :vo AND name = :name";
    [hot] write DROP = "dataset.drop", "DELETE FROM dataset WHERE id = :id";
    [hot] write DROP_KEEPER = "dataset.drop_keeper", "DELETE FROM dataset_keeper WHERE dataset_id = :id";
    write DROP_PARTS = "dataset.drop_parts", "DELETE FROM dataset_part WHERE container_id = :id OR part_id = :id";
    [hot] write DROP_FILES = "dataset.drop_files", "DELETE FROM dataset_file WHERE id IN (:ids*)";
    [hot] read FILES = "dataset.files", concat!("SELECT ", file_columns!(), " FROM dataset_file WHERE dataset_id = :dataset AND lfn > :after ORDER BY lfn LIMIT :n");
    [hot] read FILE = "dataset.file", concat!("SELECT ", file_columns!(), " FROM dataset_file WHERE dataset_id = :dataset AND lfn = :lfn LIMIT 1");
    insert FILE_ADD = "dataset.file_add" => dataset_file (id: Int, dataset_id: Int, lfn: Text, scope: Text, guid: Text, fsize: Int, checksum: Text, n_events: Int, surl: Text, rse: Text, lumiblock: Int, boundary: Int, lost: Int), "{skip_dup(dataset_id,lfn)}";
}

fn read(r: &Row) -> Result<DatasetRow, Error> {
    Ok(DatasetRow {
        id: r.int(0)?,
        vo: r.text(1)?.to_owned(),
        name: r.text(2)?.to_owned(),
        scope: r.text(3)?.to_owned(),
        state: r.text(4)?.to_owned(),
        person_id: r.opt_int(5)?,
        n_files: r.int(6)?,
        n_bytes: r.int(7)?,
        created_us: r.int(8)?,
    })
}
fn read_file(r: &Row) -> Result<DatasetFile, Error> {
    let text = |i| Ok::<_, Error>(r.opt_text(i)?.map(str::to_owned));
    Ok(DatasetFile {
        id: r.int(0)?,
        dataset_id: r.int(1)?,
        lfn: r.text(2)?.to_owned(),
        scope: r.text(3)?.to_owned(),
        guid: text(4)?,
        fsize: r.opt_int(5)?,
        checksum: text(6)?,
        n_events: r.opt_int(7)?,
        surl: text(8)?,
        rse: text(9)?,
        lumiblock: r.opt_int(10)?,
        boundary: r.opt_int(11)?,
        lost: r.int(12)? != 0,
    })
}
/// The data set of this name in `vo`.
pub async fn by_name(store: &Store, vo: &str, name: &str) -> Result<Option<DatasetRow>, Error> {
    store.fetch(&BY_NAME, vec![("vo", vo.into()), ("name", name.into())]).await?.first().map(read).transpose()
}
/// Data sets of `vo` with a name above `after` (" " for the first page), by name; at most `n` and 1,000.
pub async fn list(store: &Store, vo: &str, after: &str, n: i64) -> Result<Vec<DatasetRow>, Error> {
    let after = if after.is_empty() { " " } else { after };
    let binds = vec![("vo", vo.into()), ("after", after.into()), ("n", n.min(super::MAX_PAGE).into())];
    store.fetch(&LIST, binds).await?.iter().map(read).collect()
}
/// Adds a data set; a duplicate means that the name is taken.
pub fn add(batch: &mut Batch, d: &DatasetRow) {
    batch.insert(&ADD, values(d));
    input::touched(batch, d.id);
}
/// Adds a data set unless the VO has one of this name.
pub fn add_if_new(batch: &mut Batch, d: &DatasetRow) {
    batch.insert(&ADD_IF_NEW, values(d));
    input::touched(batch, d.id);
}
fn values(d: &DatasetRow) -> Vec<crate::Value> {
    vec![
        d.id.into(),
        (&d.vo).into(),
        (&d.name).into(),
        (&d.scope).into(),
        (&d.state).into(),
        d.person_id.into(),
        d.n_files.into(),
        d.n_bytes.into(),
        d.created_us.into(),
    ]
}
/// Adds to the counters.
pub fn grow(batch: &mut Batch, id: i64, files: i64, bytes: i64) {
    batch.exec(&GROW, vec![("files", files.into()), ("bytes", bytes.into()), ("id", id.into())]);
    input::touched(batch, id);
}
/// Counts files and bytes anew from the file rows.
pub fn recount(batch: &mut Batch, id: i64) {
    batch.exec(&RECOUNT, vec![("id", id.into())]);
    input::touched(batch, id);
}
/// Opens or closes.
pub fn set_state(batch: &mut Batch, id: i64, state: &str) {
    batch.exec(&SET_STATE, vec![("state", state.into()), ("id", id.into())]);
    input::touched(batch, id);
}
/// Opens or closes the data set of this name, if there is one.
pub fn set_state_named(batch: &mut Batch, vo: &str, name: &str, state: &str) {
    batch.exec(&SET_STATE_NAMED, vec![("state", state.into()), ("vo", vo.into()), ("name", name.into())]);
    input::touched_name(batch, vo, name);
}
/// Files of a data set with a name above `after` ("" for the first page), by name; at most `n` and 1,000.
pub async fn files(store: &Store, dataset: i64, after: &str, n: i64) -> Result<Vec<DatasetFile>, Error> {
    let after = if after.is_empty() { " " } else { after };
    let binds = vec![("dataset", dataset.into()), ("after", after.into()), ("n", n.min(super::MAX_PAGE).into())];
    store.fetch(&FILES, binds).await?.iter().map(read_file).collect()
}
/// One file of a data set.
pub async fn file(store: &Store, dataset: i64, lfn: &str) -> Result<Option<DatasetFile>, Error> {
    store.fetch(&FILE, vec![("dataset", dataset.into()), ("lfn", lfn.into())]).await?.first().map(read_file).transpose()
}
/// Adds a file; a name that is there already stays as it is (registering an output twice changes nothing).
pub fn add_file(batch: &mut Batch, f: &DatasetFile) {
    batch.insert(
        &FILE_ADD,
        vec![
            f.id.into(),
            f.dataset_id.into(),
            (&f.lfn).into(),
            (&f.scope).into(),
            f.guid.as_deref().into(),
            f.fsize.into(),
            f.checksum.as_deref().into(),
            f.n_events.into(),
            f.surl.as_deref().into(),
            f.rse.as_deref().into(),
            f.lumiblock.into(),
            f.boundary.into(),
            f.lost.into(),
        ],
    );
}
/// Removes a data set whose files are gone; containers lose it as a part.
pub fn remove(batch: &mut Batch, id: i64) {
    input::touched(batch, id);
    for statement in [&DROP_PARTS, &DROP_KEEPER, &DROP] {
        batch.exec(statement, vec![("id", id.into())]);
    }
}
/// Takes files (at most 1,000) out of their data sets; the counters are not changed.
pub fn drop_files(batch: &mut Batch, ids: &[i64]) {
    for ids in ids.chunks(crate::MAX_IN_LIST) {
        batch.exec(&DROP_FILES, vec![("ids", ids.to_vec().into())]);
    }
}

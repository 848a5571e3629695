//! Data sets that a data management plug-in keeps, as far as they are copied into the catalogue.

use std::collections::HashMap;

use super::{DatasetRow, add};
use crate::{Batch, Error, Store, statements};

/// State of a data set whose files are being copied.
pub const ARRIVING: &str = "arriving";

statements! {
    insert ADD = "dataset_keeper.add" => dataset_keeper (dataset_id: Int, plugin: Text, checked_us: Int), "{skip_dup(dataset_id)}";
    [hot] read OF = "dataset_keeper.of", "SELECT dataset_id, plugin FROM dataset_keeper WHERE dataset_id IN (:ids*) ORDER BY dataset_id LIMIT 1000";
    [hot] read STALE = "dataset_keeper.stale", "SELECT dataset_id FROM dataset_keeper WHERE dataset_id IN (:ids*) AND checked_us < :before ORDER BY dataset_id LIMIT 1000";
    [hot] write CHECKED = "dataset_keeper.checked", "UPDATE dataset_keeper SET checked_us = :now WHERE dataset_id = :dataset";
    [hot] read LAST = "dataset_keeper.last_file", "SELECT lfn FROM dataset_file WHERE dataset_id = :dataset ORDER BY lfn DESC LIMIT 1";
}

/// Adds a data set that a plug-in keeps; a duplicate means that the name is taken.
pub fn add_kept(batch: &mut Batch, d: &DatasetRow, plugin: &str) {
    add(batch, d);
    batch.insert(&ADD, vec![d.id.into(), plugin.into(), d.created_us.into()]);
}
/// Which plug-in keeps which of these data sets (at most 1,000); those of the catalogue alone are left out.
pub async fn of(store: &Store, ids: &[i64]) -> Result<HashMap<i64, String>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = store.fetch(&OF, vec![("ids", ids.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect()
}
/// Those of these data sets (at most 1,000) that a plug-in keeps and was not asked of since `before_us`.
pub async fn stale(store: &Store, ids: &[i64], before_us: i64) -> Result<Vec<i64>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.fetch(&STALE, vec![("ids", ids.to_vec().into()), ("before", before_us.into())]).await?;
    rows.iter().map(|r| r.int(0)).collect()
}
/// The plug-in has told all that it knows of the data set.
pub fn checked(batch: &mut Batch, dataset: i64, now_us: i64) {
    batch.exec(&CHECKED, vec![("now", now_us.into()), ("dataset", dataset.into())]);
}
/// The last file of a data set by name: those before it are there, when they were copied in the order of their names.
pub async fn last_file(store: &Store, dataset: i64) -> Result<Option<String>, Error> {
    let rows = store.fetch(&LAST, vec![("dataset", dataset.into())]).await?;
    rows.first().map(|r| Ok(r.text(0)?.to_owned())).transpose()
}
/// Counts the files anew and opens or closes the data set; who watches it looks at it.
pub fn arrived(batch: &mut Batch, dataset: i64, state: &str) {
    super::recount(batch, dataset);
    super::set_state(batch, dataset, state);
}

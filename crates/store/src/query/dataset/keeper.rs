//! Data sets that a data management plug-in keeps, as far as they are copied into the catalogue.

use std::collections::HashMap;

use super::{DatasetRow, add};
use crate::{Batch, Error, Store, statements};

/// State of a data set whose files are being copied.
pub const ARRIVING: &str = "arriving";

statements! {
    insert ADD = "dataset_keeper.add" => dataset_keeper (dataset_id: Int, plugin: Text), "{skip_dup(dataset_id)}";
    [hot] read OF = "dataset_keeper.of", "SELECT dataset_id, plugin FROM dataset_keeper WHERE dataset_id IN (:ids*) ORDER BY dataset_id LIMIT 1000";
    [hot] read LAST = "dataset_keeper.last_file", "SELECT lfn FROM dataset_file WHERE dataset_id = :dataset ORDER BY lfn DESC LIMIT 1";
}

/// Adds a data set that a plug-in keeps; a duplicate means that the name is taken.
pub fn add_kept(batch: &mut Batch, d: &DatasetRow, plugin: &str) {
    add(batch, d);
    batch.insert(&ADD, vec![d.id.into(), plugin.into()]);
}
/// Which plug-in keeps which of these data sets (at most 1,000); those of the catalogue alone are left out.
pub async fn of(store: &Store, ids: &[i64]) -> Result<HashMap<i64, String>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = store.fetch(&OF, vec![("ids", ids.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned()))).collect()
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

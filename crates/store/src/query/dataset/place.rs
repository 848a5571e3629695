//! Where the files of a data set lie.

use crate::{Error, Store, statements};

statements! {
    [hot] read PLACES = "dataset.places", "SELECT rse, COUNT(*), SUM(fsize) FROM dataset_file WHERE dataset_id = :dataset AND lost = 0 GROUP BY rse LIMIT 10000";
}

/// Files and bytes of a data set by storage endpoint; none = a file that names no endpoint. Lost files are left out.
pub async fn places(store: &Store, dataset: i64) -> Result<Vec<(Option<String>, i64, i64)>, Error> {
    let rows = store.fetch(&PLACES, vec![("dataset", dataset.into())]).await?;
    rows.iter().map(|r| Ok((r.opt_text(0)?.map(str::to_owned), r.int(1)?, r.opt_int(2)?.unwrap_or(0)))).collect()
}

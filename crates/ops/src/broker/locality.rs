//! Where the input of a task lies, from the catalogue.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::policy::broker::{Amount, Locality};
use panda_store::query::dataset::{self, DatasetRow};

use crate::{Ops, OpsError, dataset::Name};

/// How long a count of a data set's files is used, microseconds: a large one takes a second, and files rarely move.
const MAX_AGE_US: i64 = 600_000_000;
/// Most data sets remembered.
const MAX_KNOWN: usize = 1_000;

/// By data set: when it was counted, how many files it had, and where they are.
pub(crate) type Known = BTreeMap<i64, (i64, i64, Arc<Locality>)>;

/// Where the files of these data sets (or of containers of them) lie. None when it cannot matter: none of them is known, or there is a
/// single endpoint.
pub async fn of(ops: &Ops, vo: &str, names: &[String]) -> Result<Option<Locality>, OpsError> {
    if names.is_empty() || ops.queues().await?.storages.endpoints.len() < 2 {
        return Ok(None);
    }
    let mut sum = Locality::default();
    for name in names {
        let Ok(name) = Name::parse(name) else { continue };
        let Some(d) = dataset::by_name(&ops.store, vo, &name.name).await? else { continue };
        let mut parts = dataset::input::parts(&ops.store, d.id).await?;
        if parts.is_empty() {
            parts.push(d);
        }
        for part in &parts {
            let one = one(ops, part).await?;
            add(&mut sum.all, one.all);
            add(&mut sum.anywhere, one.anywhere);
            for (endpoint, amount) in &one.at {
                add(sum.at.entry(endpoint.clone()).or_default(), *amount);
            }
        }
    }
    Ok((sum.all.files > 0).then_some(sum))
}

fn add(to: &mut Amount, more: Amount) {
    to.files += more.files;
    to.bytes += more.bytes;
}

/// One data set, from memory when it was counted lately and has as many files as then.
async fn one(ops: &Ops, d: &DatasetRow) -> Result<Arc<Locality>, OpsError> {
    let now = ops.now().0;
    if let Some((at, files, known)) = ops.live.places.lock().get(&d.id)
        && *files == d.n_files
        && (0..MAX_AGE_US).contains(&(now - at))
    {
        return Ok(known.clone());
    }
    let mut counted = Locality::default();
    for (endpoint, files, bytes) in dataset::place::places(&ops.store, d.id).await? {
        let amount = Amount { files, bytes };
        add(&mut counted.all, amount);
        match endpoint {
            Some(name) => add(counted.at.entry(name).or_default(), amount),
            None => add(&mut counted.anywhere, amount),
        }
    }
    let counted = Arc::new(counted);
    let mut known = ops.live.places.lock();
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(d.id, (now, d.n_files, counted.clone()));
    Ok(counted)
}

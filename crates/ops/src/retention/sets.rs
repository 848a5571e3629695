//! Output data sets of tasks that are in the archive: their files on the storage, what the catalogue says of them, and, where VO and label have a data
//! management plug-in, what that knows of them (`spec/engine.md` sections 2.3 and 20.13: data sets 12 months).

use panda_core::{id::TaskId, policy::retention::DAY_US};
use panda_store::{
    Batch,
    query::{dataset, old},
};

use super::{A_STEP, Class, Due, Key, Page, Rules, disk};
use crate::{Ops, OpsError, effect};

/// Data sets of one step.
const SETS_A_STEP: i64 = 50;

/// A data set's name as the catalogue has it.
fn plain(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.split_once(':').map_or(name, |(_, n)| n)
}

/// Data sets that archived tasks have written to; not those that a task at hand reads or writes, nor those that another task has written to later.
pub(super) async fn find(ops: &Ops, rules: &Rules<'_>, before: i64, from: i64) -> Result<Page, OpsError> {
    let sets = old::outputs(&ops.store, TaskId(from), before, SETS_A_STEP).await?;
    let full = sets.len() as i64 >= SETS_A_STEP;
    // The last task of a full page may have more on the next one.
    let next = sets.last().filter(|_| full).map(|last| {
        let one = sets.first().is_some_and(|first| first.task == last.task);
        if one { last.task.0 } else { last.task.0 - 1 }
    });
    let mut due = Vec::new();
    for s in sets.into_iter().filter(|s| rules.due(Class::DataSets, &s.vo, &s.label, s.ended_us)) {
        let days = rules.days(Class::DataSets, &s.vo, &s.label);
        let name = plain(&s.name).to_owned();
        if old::output_used(&ops.store, &s.vo, &name).await?
            || old::output_younger(&ops.store, &s.vo, &name, rules.now_us - days * DAY_US + 1).await?
        {
            continue;
        }
        let bytes = dataset::by_name(&ops.store, &s.vo, &name).await?.map_or(0, |d| d.n_bytes);
        due.push(Due { class: Class::DataSets, vo: s.vo.clone(), name, since_us: s.ended_us, bytes, key: Key::Output(s) });
    }
    Ok((due, next))
}

/// Removes them: the files first, then the data set together with what its keeper is to be told.
pub(super) async fn remove(ops: &Ops, due: &[Due]) -> Result<(), OpsError> {
    let roots = disk::roots(ops).await?;
    for d in due {
        let Key::Output(s) = &d.key else { continue };
        let mut batch = Batch::new();
        if let Some(row) = dataset::by_name(&ops.store, &s.vo, &d.name).await? {
            loop {
                let files = dataset::files(&ops.store, row.id, "", A_STEP as i64).await?;
                if files.is_empty() {
                    break;
                }
                let surls: Vec<String> = files.iter().filter_map(|f| f.surl.clone()).collect();
                let at = roots.clone();
                disk::blocking(move || surls.iter().filter(|s| disk::delete_stored(s, &at)).count()).await?;
                let mut gone = Batch::new();
                dataset::drop_files(&mut gone, &files.iter().map(|f| f.id).collect::<Vec<_>>());
                ops.store.apply(gone).await?;
            }
            dataset::remove(&mut batch, row.id);
            effect::outputs_removed(ops, &mut batch, s, &format!("{}:{}", row.scope, row.name)).await?;
        }
        old::output_removed(&mut batch, s);
        ops.store.apply(batch).await?;
    }
    Ok(())
}

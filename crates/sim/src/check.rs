//! What must hold after every step, and at the end of all work.

use std::collections::BTreeMap;

use panda_core::{
    file::{FileState, account::is_done},
    id::TaskId,
    task::state::TaskState,
};
use panda_ops::{Ops, task::recount};
use panda_store::query::{archive, check, dataset, task};

use crate::SimError;

/// Most sentences about one moment.
const MAX_TOLD: usize = 20;

/// What does not hold now: histories that do not fit, counters that do not agree with their rows.
pub(crate) async fn now(ops: &Ops, tasks: impl Iterator<Item = i64>) -> Result<Vec<String>, SimError> {
    let mut wrong = check::broken(&ops.store).await?;
    for id in tasks {
        wrong.extend(recount::differences(ops, TaskId(id)).await?);
        if wrong.len() > MAX_TOLD {
            break;
        }
    }
    wrong.truncate(MAX_TOLD);
    Ok(wrong)
}

/// What does not hold at the end of all work: tasks that are not at their end, inputs that are neither done nor given up, files that are registered
/// more or less often than their jobs wrote them. `stored`: by name, what pilots really stored and said so.
pub(crate) async fn end(ops: &Ops, tasks: &[i64], stored: &BTreeMap<String, u32>) -> Result<Vec<String>, SimError> {
    let mut wrong = Vec::new();
    for &id in tasks {
        if wrong.len() > MAX_TOLD {
            break;
        }
        let Some(row) = archive::task::find(&ops.store, TaskId(id)).await? else {
            wrong.push(format!("task {id} is lost"));
            continue;
        };
        if !row.state.is_final() && row.state != TaskState::Exhausted {
            wrong.push(format!("task {id} is {} at the end: {}", row.state, row.reason.as_deref().unwrap_or("no reason is told")));
            continue;
        }
        for d in task::dataset::of_task(&ops.store, TaskId(id)).await? {
            if d.role.is_input() {
                let totals = task::file::totals(&ops.store, d.id).await?;
                let open: Vec<String> = totals
                    .iter()
                    .filter(|t| matches!(t.0, FileState::Running | FileState::Pending) && t.1 > 0)
                    .map(|t| format!("{} {}", t.1, t.0))
                    .collect();
                if !open.is_empty() {
                    wrong.push(format!("task {id} has ended with inputs {} in {}", open.join(", "), d.name));
                }
                let finished = totals.iter().filter(|t| is_done(t.0)).map(|t| t.1).sum::<i64>();
                if row.state == TaskState::Done && d.is_master && finished != d.n_files {
                    wrong.push(format!("task {id} is done with {finished} of {} inputs", d.n_files));
                }
            } else if matches!(d.role, panda_core::file::FileRole::Output | panda_core::file::FileRole::Log) {
                wrong.extend(registered(ops, &row.vo, &d.name, d.n_finished, stored).await?);
            }
        }
    }
    wrong.truncate(MAX_TOLD);
    Ok(wrong)
}

/// The catalogue's data set against the counter of the task and what was stored.
async fn registered(ops: &Ops, vo: &str, name: &str, counted: i64, stored: &BTreeMap<String, u32>) -> Result<Vec<String>, SimError> {
    let plain = panda_engine::finish::catalogue::plain_name(name);
    let Some(set) = dataset::by_name(&ops.store, vo, plain).await? else {
        return Ok(if counted == 0 {
            vec![]
        } else {
            vec![format!("{counted} files of {name} have finished, and the catalogue has no such data set")]
        });
    };
    let mut wrong = Vec::new();
    let (mut after, mut n) = (String::new(), 0);
    loop {
        let page = dataset::files(&ops.store, set.id, &after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.lfn);
        n += page.len() as i64;
        for f in page.iter().filter(|f| !stored.contains_key(&f.lfn)) {
            wrong.push(format!("{} is in the catalogue and no pilot stored it", f.lfn));
        }
    }
    if n != counted || n != set.n_files {
        wrong.push(format!("{name}: {counted} files have finished, {n} are in the catalogue, which counts {}", set.n_files));
    }
    Ok(wrong)
}

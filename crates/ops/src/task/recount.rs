//! Counters of data sets against the rows that they count (`spec/engine.md` section 3.6): they move by deltas, so they can be checked at any time.

use panda_core::{
    file::{
        FileState,
        account::{is_done, is_lost},
    },
    id::TaskId,
};
use panda_store::query::{archive, job::file::Total, task};

use crate::{Ops, OpsError};

mod dag;
mod events;

/// Every counter of a task's data sets that is not what its rows say, as sentences. A task must stand still while it is looked at, or what moves
/// meanwhile is told, too.
pub async fn differences(ops: &Ops, id: TaskId) -> Result<Vec<String>, OpsError> {
    let mut wrong = Vec::new();
    let datasets = task::dataset::of_task(&ops.store, id).await?;
    let inputs: Vec<_> = datasets.iter().filter(|d| d.is_master).cloned().collect();
    wrong.extend(events::differences(ops, id, &inputs).await?);
    for d in datasets {
        let mut say = |what: &str, counted: i64, found: i64| {
            if counted != found {
                wrong.push(format!("task {id}, {} {}: {what} is {counted}, its rows say {found}", d.role, d.name));
            }
        };
        if d.role.is_input() {
            let rows = task::file::totals(&ops.store, d.id).await?;
            let sum = |of: &dyn Fn(FileState) -> bool| rows.iter().filter(|r| of(r.0)).fold((0, 0), |sum, r| (sum.0 + r.1, sum.1 + r.2));
            let used = sum(&|s| s != FileState::Ready && !s.is_not_there());
            let finished = sum(&is_done);
            let held = if d.is_dag() { sum(&|s| s == FileState::Pending).0 } else { 0 };
            say("n_on_hold", d.n_on_hold, held);
            say("n_used", d.n_used, used.0);
            say("n_finished", d.n_finished, finished.0);
            say("n_failed", d.n_failed, sum(&is_lost).0);
            say("n_missing", d.n_missing, sum(&|s| matches!(s, FileState::Lost | FileState::Missing)).0);
            say("n_events_used", d.n_events_used, used.1);
            say("n_events_finished", d.n_events_finished, finished.1);
            if d.is_dag() {
                wrong.extend(dag::differences(ops, &d).await?);
            }
        } else {
            let rows = archive::job::file_totals(&ops.store, d.id).await?;
            let sum =
                |of: &dyn Fn(&Total) -> bool| rows.iter().filter(|t| of(t)).fold((0, 0), |sum, t| (sum.0 + t.files, sum.1 + t.events));
            let finished = sum(&|t| t.state == FileState::Finished);
            let failed = sum(&|t| is_lost(t.state));
            let held = sum(&|t| (d.role.is_pre_merge() && t.state == FileState::Ready) || (t.transferring && !t.state.is_settled()));
            say("n_finished", d.n_finished, finished.0);
            say("n_failed", d.n_failed, failed.0);
            say("n_on_hold", d.n_on_hold, held.0);
            say("n_events", d.n_events, finished.1);
        }
    }
    Ok(wrong)
}

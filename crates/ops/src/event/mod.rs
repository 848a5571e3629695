//! Ranges of events: jobs of the event service take the events of their files in ranges and say of each how it went (`spec/api_v1.md` section 4,
//! `spec/harvester.md` 3.4).

mod acquire;
mod end;
mod status;
#[cfg(test)]
mod tests;
mod update;

pub use acquire::{Handed, MAX_RANGES, acquire, available};
pub use end::{Claim, claim, others, run_once, settle, tallies};
pub use status::statuses;
pub use update::{Change, Updated, update};

use panda_core::{file::FileState, id::TaskId, job::record::JobKind, policy::events::RangeId};
use panda_store::query::{
    job::JobRow,
    task::{
        events::{self, Range},
        file,
    },
};

/// The name of a range on the wire.
#[must_use]
pub fn name(r: &Range) -> RangeId {
    RangeId { task: r.task_id.0, job: r.cut_for.0, file: r.file_id, number: r.number, attempt: r.attempt }
}

/// Files that are looked at together for a job that takes ranges of all files of its task.
const JUMBO_PAGE: i64 = 200;
/// Pages that such a question looks at: a bound on its time, with 20,000 files at once under way.
const JUMBO_PAGES: usize = 100;

/// Tries when somebody else changed the same ranges.
const TRIES: usize = 5;

/// Files of a job, with how their events are cut.
type Files = Vec<(file::TaskFile, events::EventFile)>;

/// The files whose events a job may have in ranges, in order: its own and those of the jobs that it shares files with. Of clones the first only: its
/// one range says which of them counts.
async fn files(ops: &crate::Ops, job: &JobRow) -> Result<Files, crate::OpsError> {
    if !job.kind.has_events() || job.kind == JobKind::EsMerge {
        return Ok(Vec::new());
    }
    if let (JobKind::Jumbo, Some(task)) = (job.kind, job.task_id) {
        return of_task(ops, task).await;
    }
    let mut ids = events::set_of(&ops.store, job.id).await?;
    if ids.is_empty() {
        ids.push(job.id);
    }
    let mut rows = file::of_jobs(&ops.store, &ids).await?;
    rows.retain(|f| f.state == FileState::Running);
    rows.sort_by_key(|f| (f.dataset_id, f.seq));
    if job.kind == JobKind::Clone {
        rows.truncate(1);
    }
    with_cuts(ops, rows).await
}

/// Files of a task with ranges that nobody has, for a job that takes those of all: of the first files that have some.
async fn of_task(ops: &crate::Ops, task: TaskId) -> Result<Files, crate::OpsError> {
    let mut after = 0;
    for _ in 0..JUMBO_PAGES {
        let page = events::of_task(&ops.store, task, after, JUMBO_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.file_id;
        let ids: Vec<i64> = page.iter().map(|f| f.file_id).collect();
        let found = tallies(ops, &ids).await?;
        let free: Vec<i64> = ids.into_iter().filter(|id| found.get(id).is_some_and(|(_, t)| t.free() > 0)).collect();
        let mut rows = file::many(&ops.store, &free).await?;
        rows.retain(|f| matches!(f.state, FileState::Running | FileState::Ready));
        if !rows.is_empty() {
            return with_cuts(ops, rows).await;
        }
    }
    Ok(Vec::new())
}

/// Rows with how their events are cut, where they are.
async fn with_cuts(ops: &crate::Ops, rows: Vec<file::TaskFile>) -> Result<Files, crate::OpsError> {
    let mut all = Vec::new();
    for chunk in rows.chunks(panda_store::MAX_IN_LIST) {
        let ids: Vec<i64> = chunk.iter().map(|f| f.id).collect();
        let found = events::files(&ops.store, &ids).await?;
        let of = |f: &file::TaskFile| found.iter().find(|e| e.file_id == f.id).cloned();
        all.extend(chunk.iter().filter_map(|f| Some((f.clone(), of(f)?))));
    }
    Ok(all)
}

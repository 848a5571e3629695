//! Ranges of events: jobs of the event service take the events of their files in ranges and say of each how it went (`spec/api_v1.md` section 4,
//! `spec/harvester.md` 3.4).

mod acquire;
mod status;
#[cfg(test)]
mod tests;
mod update;

pub use acquire::{Handed, MAX_RANGES, acquire, available};
pub use status::statuses;
pub use update::{Change, Updated, update};

use panda_core::{id::JobId, policy::events::RangeId};
use panda_store::query::task::events::Range;

/// The name of a range on the wire.
#[must_use]
pub fn name(r: &Range) -> RangeId {
    RangeId { task: r.task_id.0, job: r.cut_for.0, file: r.file_id, number: r.number, attempt: r.attempt }
}

/// Tries when somebody else changed the same ranges.
const TRIES: usize = 5;

/// Files of a job, with how their events are cut.
type Files = Vec<(panda_store::query::task::file::TaskFile, panda_store::query::task::events::EventFile)>;

/// The files of a job whose events are handed out in ranges, in order.
async fn files(ops: &crate::Ops, job: JobId) -> Result<Files, crate::OpsError> {
    use panda_store::query::task::{events, file};
    let rows = file::of_jobs(&ops.store, &[job]).await?;
    let mut all = Vec::new();
    for chunk in rows.chunks(panda_store::MAX_IN_LIST) {
        let ids: Vec<i64> = chunk.iter().map(|f| f.id).collect();
        let found = events::files(&ops.store, &ids).await?;
        let of = |f: &file::TaskFile| found.iter().find(|e| e.file_id == f.id).cloned();
        all.extend(chunk.iter().filter_map(|f| Some((f.clone(), of(f)?))));
    }
    Ok(all)
}

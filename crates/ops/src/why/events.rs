//! How the event ranges of jobs and tasks stand, and who shares files with whom.

use panda_core::{id::TaskId, job::record::JobKind, policy::events::Tally};
use panda_store::query::{
    job::JobRow,
    task::{events, file},
};

use crate::{Ops, OpsError, event};

/// Sentences on the ranges of a job and on the jobs that share its files; none for an ordinary job.
pub(super) async fn of_job(ops: &Ops, j: &JobRow) -> Result<Vec<String>, OpsError> {
    let mut said = Vec::new();
    if !j.kind.has_events() {
        return Ok(said);
    }
    let set = events::set_of(&ops.store, j.id).await?;
    let others: Vec<String> = set.iter().filter(|id| **id != j.id).map(|id| format!("job/{id}")).collect();
    if !others.is_empty() {
        let what = if j.kind == JobKind::Clone { "one of them counts" } else { "what one leaves others do" };
        said.push(format!("it shares its files with {}: {what}", others.join(", ")));
    }
    if matches!(j.kind, JobKind::Clone) {
        return Ok(said);
    }
    if matches!(j.kind, JobKind::Consumer | JobKind::Jumbo | JobKind::Fine) {
        said.push(format!("{} event ranges are done by it", events::done_by(&ops.store, j.id).await?));
    }
    let members = if set.is_empty() { vec![j.id] } else { set };
    let ids: Vec<i64> = file::of_jobs(&ops.store, &members).await?.iter().map(|f| f.id).collect();
    let all = event::tallies(ops, &ids).await?.into_values().fold(Tally::default(), |sum, (_, t)| Tally {
        ranges: sum.ranges + t.ranges,
        done: sum.done + t.done,
        lost: sum.lost + t.lost,
        held: sum.held + t.held,
    });
    if all.ranges > 0 {
        let Tally { ranges, done, lost, held } = all;
        said.push(format!("of {ranges} event ranges of its files {done} are done, {held} are with jobs, {lost} were given up"));
    }
    Ok(said)
}

/// A sentence on the ranges of a task that were cut so far; none when there are none.
pub(super) async fn of_task(ops: &Ops, task: TaskId) -> Result<Option<String>, OpsError> {
    let counts = events::count_task(&ops.store, task).await?;
    let words: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    Ok((!words.is_empty()).then(|| format!("event ranges that jobs asked for so far: {}", words.join(", "))))
}

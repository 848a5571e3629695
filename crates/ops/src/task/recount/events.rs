//! Event ranges against the files and jobs that they belong to (`spec/engine.md` section 3.7).

use std::collections::{BTreeMap, BTreeSet};

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    policy::events::RangeState,
};
use panda_store::query::{
    archive, job,
    task::{dataset::TaskDataset, events, file},
};

use crate::{Ops, OpsError};

/// Files looked at together: by state and job, a count has room for two hundred lines a file.
const PAGE: i64 = 100;

/// What is wrong with the ranges of a task, as sentences: all that were cut are there, a live job has those that are held, and a file of the event
/// service is done only when its ranges are.
pub(super) async fn differences(ops: &Ops, task: TaskId, inputs: &[TaskDataset]) -> Result<Vec<String>, OpsError> {
    let (mut wrong, mut after) = (Vec::new(), 0);
    let mut done = None;
    loop {
        let files = events::of_task(&ops.store, task, after, PAGE).await?;
        let Some(last) = files.last() else { return Ok(wrong) };
        after = last.file_id;
        let done = match &mut done {
            Some(known) => known,
            none => none.insert(finished_by_ranges(ops, inputs).await?),
        };
        let ids: Vec<i64> = files.iter().map(|f| f.file_id).collect();
        let mut counts: BTreeMap<i64, Vec<(RangeState, JobId, i64)>> = BTreeMap::new();
        for (file, state, job, n) in events::count(&ops.store, &ids).await? {
            counts.entry(file).or_default().push((state, job, n));
        }
        let holders: BTreeSet<JobId> = counts.values().flatten().filter(|c| c.0.is_held()).map(|c| c.1).collect();
        let holders: Vec<JobId> = holders.into_iter().collect();
        let mut live = BTreeSet::new();
        for chunk in holders.chunks(panda_store::MAX_IN_LIST) {
            live.extend(job::list::many(&ops.store, chunk).await?.into_iter().filter(|j| !j.state.is_final()).map(|j| j.id));
        }
        for f in &files {
            let of = counts.get(&f.file_id).map_or(&[][..], Vec::as_slice);
            let cut: i64 = of.iter().map(|c| c.2).sum();
            if cut != f.n_cut {
                wrong.push(format!("task {task}, file {}: {} ranges were cut, there are {cut}", f.file_id, f.n_cut));
            }
            for (state, job, n) in of.iter().filter(|c| c.0.is_held() && !live.contains(&c.1)) {
                wrong.push(format!("task {task}, file {}: {n} ranges are {state}, but job {job} has ended", f.file_id));
            }
            let ready: i64 = of.iter().filter(|c| c.0.is_done()).map(|c| c.2).sum();
            if done.contains(&f.file_id) && ready != f.slice.ranges() {
                wrong.push(format!("task {task}, file {}: it is done, but of {} ranges only {ready} are", f.file_id, f.slice.ranges()));
            }
        }
    }
}

/// Files that are done because of their ranges: consumers, or the merge of what they stored, were in charge of them.
async fn finished_by_ranges(ops: &Ops, inputs: &[TaskDataset]) -> Result<BTreeSet<i64>, OpsError> {
    let mut by: BTreeMap<JobId, Vec<i64>> = BTreeMap::new();
    for d in inputs {
        let mut after = 0;
        loop {
            let page = file::page(&ops.store, d.id, after, panda_store::query::MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for f in page.iter().filter(|f| f.state == FileState::Finished) {
                if let Some(job) = f.job_id {
                    by.entry(job).or_default().push(f.id);
                }
            }
        }
    }
    let jobs: Vec<JobId> = by.keys().copied().collect();
    let mut all = BTreeSet::new();
    for chunk in jobs.chunks(panda_store::MAX_IN_LIST) {
        for j in archive::job::many(&ops.store, chunk).await?.iter().filter(|j| j.kind.is_event_service()) {
            all.extend(by.remove(&j.id).into_iter().flatten());
        }
    }
    Ok(all)
}

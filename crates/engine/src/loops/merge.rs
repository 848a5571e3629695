//! Finds pre-merge files that no merge job has taken in, and puts those of whole jobs together (`spec/engine.md` section 6.3).

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use panda_core::{
    file::FileRole,
    id::{JobId, QueueId, TaskId},
    job::state::JobState,
    policy::split::{self, Row, limits::Site},
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{Ops, job::priority};
use panda_store::{
    Batch,
    query::{
        decision,
        job::{self, file::JobFile},
        task::{
            self, TaskRow,
            dataset::{TaskDataset, Todo},
        },
    },
};
use serde_json::json;

use super::TASKS_A_STEP;
use crate::{
    EngineError, Report,
    generate::{
        job::Setting,
        merge::{self, Taken},
    },
    plan,
};

/// Stage of the record of a task whose merge jobs wait for a plug-in.
const STAGE: &str = "merge";
/// Pre-merge files of a data set looked at together.
const WINDOW: i64 = 1_000;
/// Tasks at the same time: their batches share commits.
const AT_ONCE: usize = 16;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let ids = task::dataset::with_work(&ops.store, Todo::Merge, after, TASKS_A_STEP).await?;
        let Some(last) = ids.last() else { return Ok(report) };
        after = *last;
        let tasks = task::list::many(&ops.store, &ids).await?;
        let mut work = stream::iter(tasks.into_iter().map(|t| async move { (t.id, one(ops, &t, now).await) })).buffer_unordered(AT_ONCE);
        while let Some((id, made)) = work.next().await {
            match made {
                Ok(r) => report.add(r),
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => match e.waits() {
                    Some(reason) => waits(ops, id, reason, now).await?,
                    None => tracing::error!(task = %id, "merging: {e}"),
                },
            }
        }
    }
}

/// Records why nothing is merged now.
async fn waits(ops: &Ops, id: TaskId, reason: &str, now: Micros) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    decision::set(&mut batch, id.0, STAGE, now.0, &json!({ "reason": reason }).to_string());
    Ok(ops.store.apply(batch).await?)
}

/// Pre-merge jobs that go into merge jobs only with each other: their files lie at one queue, and belong to one boundary when outputs are mapped
/// by it (GB 2 and 4).
type Group = (QueueId, Option<i64>);

async fn one(ops: &Ops, t: &TaskRow, now: Micros) -> Result<Report, EngineError> {
    if !matches!(t.state, TaskState::Running | TaskState::Scouting | TaskState::Finishing | TaskState::Merging) {
        return Ok(Report::default());
    }
    let refined = plan::of(ops, t).await?;
    let Some(merge) = &refined.plan.merge else { return Ok(Report::default()) };
    // Whether all that can be merged is there, before it is listed: no job is on its way, every input file is taken, and still no job is on its
    // way (a file that became ready again before the second look shows in it, one that did after the first needs a job that failed meanwhile).
    let on_its_way = job::list::making(&ops.store, t.id).await?;
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let taken = |d: &TaskDataset| !d.is_open && d.state != "feeding" && d.n_used + d.n_missing >= d.n_files;
    // A task that is being finished takes no more files.
    let all_taken = t.state == TaskState::Finishing || datasets.iter().filter(|d| d.is_master).all(taken);
    let complete = on_its_way == 0 && all_taken && job::list::making(&ops.store, t.id).await? == 0;
    let (files, more) = free(ops, &datasets).await?;
    let groups = group(ops, files, refined.plan.split.output_by_boundary).await?;
    let queues = ops.queues().await?;
    let owner = ops.person_by_id(t.person_id).await?;
    let standing = priority::standing(ops, &owner, &t.vo, &t.label, t.working_group.as_deref().unwrap_or_default()).await?;
    let types = ops.resource_types().await?;
    let (mut report, mut serials) = (Report::default(), Taken::new());
    for ((queue, _), jobs) in groups {
        let Some(queue) = queues.by_id.get(&queue) else { continue };
        let missing = || EngineError::Internal(format!("queue {} has no storage endpoint", queue.name));
        let rse = queues.rses.get(&queue.rse_id).ok_or_else(missing)?;
        let out = queues.fact(queue.id).and_then(|q| q.output_at(t.nucleus.as_deref())).unwrap_or(&rse.name);
        let site = Site { max_workdir_mb: queue.max_disk_mb, max_time_s: queue.max_walltime_s, ..Site::default() };
        let files: Vec<&JobFile> = jobs.values().flatten().collect();
        let rows: Vec<Row> = files.iter().map(|f| row(f, &datasets)).collect();
        let setting = Setting {
            task: t,
            params: &refined.params,
            plan: &refined.plan,
            datasets: &datasets,
            queue,
            rse,
            out,
            owner: &owner.name,
            standing,
            walltime_s: refined.plan.merge.as_ref().map_or(0, |m| m.walltime_s),
            disk_mb: refined.plan.disk_mb,
            scouts: false,
            types: &types,
            base_url: &ops.options.base_url,
            now_us: now.0,
        };
        for chunk in split::split(&rows, &[], &refined.plan.merge_rules(&site), complete && !more, usize::MAX).chunks {
            merge::merge(ops, &setting, merge, &files[chunk.master], &mut serials).await?;
            report.done += 1;
        }
    }
    // With a full window there may be more; without progress that waits for what comes.
    report.more = more && report.done > 0;
    Ok(report)
}

/// A pre-merge job is never torn: the rows are its files, and its number is their boundary.
fn row(f: &JobFile, datasets: &[TaskDataset]) -> Row {
    Row {
        bytes: f.fsize.unwrap_or(0),
        events: if f.role.is_log() { 0 } else { f.n_events.unwrap_or(0) },
        boundary: Some(f.job_id.0),
        set: datasets.iter().filter(|d| d.role.is_pre_merge()).position(|d| Some(d.id) == f.dataset_id).unwrap_or(0),
        ..Row::default()
    }
}

/// Files of pre-merge data sets that no merge job has, and whether there are more. Only whole jobs: when a window ends, what lies behind the last job
/// that every data set has reached is left out.
async fn free(ops: &Ops, datasets: &[TaskDataset]) -> Result<(Vec<JobFile>, bool), EngineError> {
    let (mut files, mut reached) = (Vec::new(), None::<JobId>);
    for d in datasets.iter().filter(|d| matches!(d.role, FileRole::TrnOutput | FileRole::TrnLog)) {
        let page = job::file::free_of(&ops.store, d.id, WINDOW).await?;
        if page.len() as i64 == WINDOW {
            let last = page.last().map(|f| f.job_id);
            reached = [reached, last].into_iter().flatten().min();
        }
        files.extend(page);
    }
    if let Some(reached) = reached {
        files.retain(|f| f.job_id < reached);
    }
    Ok((files, reached.is_some()))
}

/// The files by group and job; only of jobs that wait for their merge.
async fn group(ops: &Ops, files: Vec<JobFile>, by_boundary: bool) -> Result<BTreeMap<Group, BTreeMap<JobId, Vec<JobFile>>>, EngineError> {
    let ids: Vec<JobId> = files.iter().map(|f| f.job_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut of_job: BTreeMap<JobId, Group> = BTreeMap::new();
    for chunk in ids.chunks(panda_store::MAX_IN_LIST) {
        let boundaries: BTreeMap<JobId, i64> = if by_boundary {
            let inputs = task::file::of_jobs(&ops.store, chunk).await?;
            inputs.iter().filter_map(|f| Some((f.job_id?, f.boundary?))).collect()
        } else {
            BTreeMap::new()
        };
        for j in job::list::many(&ops.store, chunk).await?.iter().filter(|j| j.state == JobState::Merging) {
            if let Some(queue) = j.queue_id {
                of_job.insert(j.id, (queue, boundaries.get(&j.id).copied()));
            }
        }
    }
    let mut groups: BTreeMap<Group, BTreeMap<JobId, Vec<JobFile>>> = BTreeMap::new();
    for f in files {
        if let Some(group) = of_job.get(&f.job_id) {
            groups.entry(*group).or_default().entry(f.job_id).or_default().push(f);
        }
    }
    Ok(groups)
}

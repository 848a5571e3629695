//! Puts the outputs of jobs in `merging` into merge jobs (`spec/engine.md` section 6.3, `spec/payload_runners.md` section 10.4).

use std::collections::BTreeMap;

use panda_core::{
    file::{FileRole, FileState, account::MERGE_ATTEMPTS},
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::{
        names,
        split::{self, Row, limits::Site},
        text::{self, Values},
    },
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{Ops, job::priority, task::plan::Merge};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        job::{self, JobRow, file::JobFile},
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset, Todo},
        },
    },
};

use super::TASKS_A_STEP;
use crate::{
    EngineError, Report,
    generate::job::{Reads, Setting, output_row},
    plan,
};

/// Pre-merge jobs looked at together.
const WINDOW: i64 = 1_000;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let ids = task::dataset::with_work(&ops.store, Todo::Merge, after, TASKS_A_STEP).await?;
        let Some(last) = ids.last() else { return Ok(report) };
        after = *last;
        for t in task::list::many(&ops.store, &ids).await? {
            match one(ops, &t, now).await {
                Ok(n) => report.done += n,
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %t.id, "merging: {e}"),
            }
        }
    }
}

async fn one(ops: &Ops, t: &TaskRow, now: Micros) -> Result<usize, EngineError> {
    if !matches!(t.state, TaskState::Running | TaskState::Finishing | TaskState::Merging) {
        return Ok(0);
    }
    let refined = plan::of(ops, t).await?;
    let Some(merge) = &refined.plan.merge else { return Ok(0) };
    // Whether all that can be merged is there, before it is listed: no job is on its way, every input file is taken, and still no job is on its
    // way (a file that became ready again before the second look shows in it, one that did after the first needs a job that failed meanwhile).
    let on_its_way = job::list::making(&ops.store, t.id).await?;
    // A task that is being finished takes no more files.
    let taken = t.state == TaskState::Finishing
        || task::dataset::of_task(&ops.store, t.id).await?.iter().filter(|d| d.is_master).all(|d| d.n_used >= d.n_files);
    let complete = on_its_way == 0 && taken && job::list::making(&ops.store, t.id).await? == 0;
    let jobs = job::list::of_task_in(&ops.store, t.id, &[JobState::Merging], WINDOW).await?;
    let complete = complete && (jobs.len() as i64) < WINDOW;
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let mut free: BTreeMap<JobId, Vec<JobFile>> = BTreeMap::new();
    for f in job::file::of_jobs(&ops.store, &ids).await? {
        if f.role.is_pre_merge() && f.state == FileState::Ready && f.used_by.is_none() {
            free.entry(f.job_id).or_default().push(f);
        }
    }
    // Pre-merge jobs go into one merge job only from one queue: their files lie there.
    let mut by_queue: BTreeMap<i64, Vec<(&JobRow, Vec<JobFile>)>> = BTreeMap::new();
    for j in &jobs {
        if let (Some(files), Some(queue)) = (free.remove(&j.id), j.queue_id) {
            by_queue.entry(queue.0).or_default().push((j, files));
        }
    }
    let mut made = 0;
    for group in by_queue.into_values() {
        // A pre-merge job is never torn: the rows are its files, and its number is their boundary.
        let mut rows: Vec<Row> = Vec::new();
        for (j, files) in &group {
            rows.extend(files.iter().map(|f| Row { bytes: f.fsize.unwrap_or(0), boundary: Some(j.id.0), ..Row::default() }));
        }
        let rules = refined.plan.merge_rules(&Site::default());
        for chunk in split::split(&rows, &[], &rules, complete, usize::MAX).chunks {
            let last = rows[chunk.master.clone()].last().and_then(|r| r.boundary);
            let from = group.iter().position(|(j, _)| Some(j.id.0) == rows[chunk.master.start].boundary).unwrap_or(0);
            let to = group.iter().position(|(j, _)| Some(j.id.0) == last).map_or(from, |at| at + 1);
            let datasets = task::dataset::of_task(&ops.store, t.id).await?;
            make(ops, t, &refined, merge, &datasets, &group[from..to], now).await?;
            made += 1;
        }
    }
    Ok(made)
}

async fn make(
    ops: &Ops,
    t: &TaskRow,
    refined: &plan::Refined,
    merge: &Merge,
    datasets: &[TaskDataset],
    group: &[(&JobRow, Vec<JobFile>)],
    now: Micros,
) -> Result<(), EngineError> {
    let queues = ops.queues().await?;
    let Some(queue) = group.first().and_then(|(j, _)| j.queue_id).and_then(|q| queues.by_id.get(&q)) else { return Ok(()) };
    let rse =
        queues.rses.get(&queue.rse_id).ok_or_else(|| EngineError::Internal(format!("queue {} has no storage endpoint", queue.name)))?;
    let owner = ops.person_by_id(t.person_id).await?;
    let setting = Setting {
        task: t,
        params: &refined.params,
        plan: &refined.plan,
        datasets,
        queue,
        rse,
        owner: &owner.name,
        standing: priority::standing(ops, &owner, &t.vo, &t.label, t.working_group.as_deref().unwrap_or_default()).await?,
        types: &*ops.resource_types().await?,
        base_url: &ops.options.base_url,
        now_us: now.0,
    };
    let id = JobId(ops.store.id(IdKind::Job).await?);
    let mut rows = ops.store.ids(IdKind::Row, refined.plan.outputs.len() + 1).await?.into_iter();
    let all: Vec<&JobFile> = group.iter().flat_map(|(_, files)| files).collect();
    let (mut files, mut words) = (Vec::new(), Values::default());
    words.words.insert("SURL".into(), setting.source_url());
    let (mut streams, mut logs) = (Vec::new(), Vec::new());
    let mut batch = Batch::new();
    for (seq, o) in refined.plan.outputs.iter().enumerate() {
        let (role, pre) = if o.is_log { (FileRole::Log, FileRole::TrnLog) } else { (FileRole::Output, FileRole::TrnOutput) };
        let find = |r| datasets.iter().find(|d| d.role == r && d.stream.as_deref() == Some(&o.stream));
        let (Some(target), Some(source)) = (find(role), find(pre)) else { continue };
        let mut taken: Vec<&&JobFile> = all.iter().filter(|f| f.dataset_id == Some(source.id)).collect();
        if taken.is_empty() {
            continue; // A stream without any disappears together with its output.
        }
        // Inputs of a merge by descending size.
        taken.sort_by(|a, b| b.fsize.cmp(&a.fsize).then_with(|| a.lfn.cmp(&b.lfn)));
        let lfn = names::lfn(&o.template, t.id.0, id.0, o.offset + target.next_serial);
        let list: Vec<&str> = taken.iter().map(|f| f.lfn.as_str()).collect();
        let word = format!("{}:{lfn}", list.join(","));
        if o.is_log {
            logs.push(word)
        } else {
            streams.push(word)
        }
        task::dataset::take_serials(&mut batch, target.id, target.next_serial, 1);
        task::dataset::count(&mut batch, target.id, Delta { files: 1, ..Delta::default() });
        files.push(output_row(
            rows.next().unwrap_or_default(),
            id,
            &setting,
            Some(target.id),
            role,
            i64::try_from(seq).unwrap_or(0),
            lfn,
            false,
        ));
    }
    words.words.insert("TRN_OUTPUT:OUTPUT".into(), streams.join(" "));
    words.words.insert("TRN_LOG:LOG".into(), logs.join(" "));
    words.words.insert("TRN_LOG_MERGE:LOG_MERGE".into(), String::new());
    let mut reads: Vec<Reads> = all.iter().map(|f| reads_of(f, datasets)).collect();
    if merge.text.contains("${LIB}") {
        let lib = datasets.iter().find(|d| d.role == FileRole::Lib && d.pattern.as_deref() == Some(&queue.name));
        let found = match lib {
            Some(d) => job::file::of_dataset(&ops.store, d.id, &[FileState::Finished], 0, WINDOW).await?.into_iter().next_back(),
            None => None,
        };
        let lib = found.ok_or_else(|| EngineError::Internal(format!("task {} has no library on queue {}", t.id, queue.name)))?;
        words.words.insert("LIB".into(), lib.lfn.clone());
        reads.push(reads_of(&lib, datasets));
    }
    let text = text::fill(&merge.text, &words).map_err(|e| EngineError::Internal(format!("merge of task {}: {e}", t.id)))?;
    let job_pars = names::lfn(&text, t.id.0, id.0, 0);
    let lane = setting.lane(ops, &t.label, merge.cores, merge.ram_mb).await?;
    let mut row = setting.row(id, JobKind::Merge, lane, setting.priority(JobKind::Merge, 0));
    (row.core_count, row.ram_mb, row.resource_type) = (merge.cores, merge.ram_mb, setting.types.of(merge.cores, merge.ram_mb).to_owned());
    row.max_attempt = MERGE_ATTEMPTS;
    let made = setting.documents(row, &merge.runner, &job_pars, &reads, files);
    let common_id = rows.next().unwrap_or_default();
    job::transition::add_common(&mut batch, common_id, Some(t.id), &made.common);
    job::transition::add(&mut batch, &made.row, common_id, &made.doc, Actor::Engine)?;
    for f in &made.files {
        job::file::add(&mut batch, f);
    }
    let used: Vec<i64> = all.iter().map(|f| f.id).collect();
    for ids in used.chunks(panda_store::MAX_IN_LIST) {
        job::file::use_by(&mut batch, ids, id);
    }
    task::transition::guard(&mut batch, t, now.0);
    batch.wake(Topic::Ready(queue.id));
    ops.store.apply(batch).await?;
    Ok(())
}

fn reads_of(f: &JobFile, datasets: &[TaskDataset]) -> Reads {
    Reads {
        stream: String::new(),
        lfn: f.lfn.clone(),
        scope: f.scope.clone().unwrap_or_else(|| "panda".into()),
        guid: f.guid.clone(),
        fsize: f.fsize,
        checksum: f.checksum.clone(),
        dataset: datasets.iter().find(|d| Some(d.id) == f.dataset_id).map_or(String::new(), |d| d.name.clone()),
        local: true,
    }
}

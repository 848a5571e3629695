//! Turns ready files into jobs: chooses the queue, makes the library, splits, and stores the jobs in batches.

use panda_core::{
    file::FileRole,
    id::{JobId, LaneId},
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::{
        names,
        split::{
            self, Reuse, Row, Take,
            take::{self, Taker},
        },
    },
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    job::priority,
    statistics::{self, Made},
    task::plan::Plan,
};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        job,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            file::TaskFile,
        },
    },
};

use crate::{
    EngineError, Report,
    generate::{
        broker::{self, Choice},
        build::{self, Library},
        gate::{self, Gate},
        job::{Reads, Setting, command_line, output_row, scope_of, values},
        turn,
    },
    plan::{self, Refined},
};

/// Ready files looked at together.
const WINDOW: i64 = 1_000;
/// Jobs of one batch: about six rows each, so that a batch stays near its bound of 500.
const JOBS_A_BATCH: usize = 60;

/// Tasks read together.
const TASKS_A_TURN: usize = 50;
/// Tasks that get jobs before the order is made anew: it costs to look at all that wait.
const TASKS_A_ROUND: usize = 100;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let order = turn::order(ops, now).await?;
    let mut served = 0;
    for ids in order.chunks(TASKS_A_TURN) {
        let rows = task::list::many(&ops.store, ids).await?;
        for t in ids.iter().filter_map(|id| rows.iter().find(|t| t.id == *id)) {
            match one(ops, t, now).await {
                Ok(r) => {
                    served += usize::from(r.done > 0);
                    report.add(r);
                }
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %t.id, "generating jobs: {e}"),
            }
        }
        // What came meanwhile has its turn too.
        if served >= TASKS_A_ROUND && ids.last() != order.last() {
            report.more = true;
            break;
        }
    }
    Ok(report)
}

async fn one(ops: &Ops, t: &TaskRow, now: Micros) -> Result<Report, EngineError> {
    let refined = plan::of(ops, t).await?;
    if let Some(reason) = &refined.plan.hold {
        hold(ops, t, reason, None, now).await?;
        return Ok(Report { done: 1, more: false });
    }
    let datasets = task::dataset::of_task(&ops.store, t.id).await?;
    let Some(master) = datasets.iter().find(|d| d.is_master && d.n_used < d.n_files) else { return Ok(Report::default()) };
    let files = task::file::ready(&ops.store, master.id, 0, WINDOW).await?;
    if files.is_empty() {
        return Ok(Report::default());
    }
    // More may follow only beyond the window: what is in it is split as if it were all when it is.
    let grows = master.state == "feeding" || (master.is_open && !refined.plan.feed.no_pooling);
    let complete = (files.len() as i64) < WINDOW && !grows;
    let ready = files.len();
    let (files, ram_mb) = of_one_memory(files, refined.plan.needs.ram.mb);
    let others = files.len() < ready;
    let refined = refined.with_memory(ram_mb);
    let at_most = match gate::gate(ops, t, &refined, now).await? {
        Gate::Go { at_most } => at_most.min(JOBS_A_BATCH),
        Gate::Hold { reason, stage, doc } => {
            return held_by_gate(ops, t, &reason, stage, &doc, now).await;
        }
    };
    let choice = broker::choose(ops, t, &refined.plan, input_mb(&refined.plan, &files), master.n_used).await?;
    let Some(chosen) = &choice.queue else {
        hold(ops, t, &choice.sentence(), Some(&choice), now).await?;
        return Ok(Report { done: 1, more: false });
    };
    let queues = ops.queues().await?;
    let missing = || EngineError::Internal(format!("queue {} or its storage endpoint vanished", chosen.name));
    let queue = queues.by_id.get(&chosen.id).ok_or_else(missing)?;
    let rse = queues.rses.get(&queue.rse_id).ok_or_else(missing)?;
    let owner = ops.person_by_id(t.person_id).await?;
    let setting = Setting {
        task: t,
        params: &refined.params,
        plan: &refined.plan,
        datasets: &datasets,
        queue,
        rse,
        owner: &owner.name,
        standing: priority::standing(ops, &owner, &t.vo, &t.label, t.working_group.as_deref().unwrap_or_default()).await?,
        types: &*ops.resource_types().await?,
        base_url: &ops.options.base_url,
        now_us: now.0,
    };
    let row = |f: &TaskFile| Row { file: f.file_no, bytes: f.fsize.unwrap_or(0), events: f.n_events.unwrap_or(0), ..Row::default() };
    let rows: Vec<Row> = files.iter().map(row).collect();
    let rules = refined.plan.rules(&broker::site(chosen, &choice.needs), false);
    let split = split::split(&rows, &[], &rules, complete, usize::MAX);
    let chunks: Vec<_> = split.chunks.into_iter().map(|c| c.master).collect();
    if chunks.is_empty() {
        return Ok(Report::default()); // The first job may still grow.
    }
    let first = chunks.len().min(at_most);
    let mut batch = Batch::new();
    broker::record(ops, &mut batch, t, &choice, now.0).await?;
    let lane = store(ops, &mut batch, &setting, &refined, master, &files, &chunks[..first]).await?;
    enter(&mut batch, t, now)?;
    batch.wake(Topic::Ready(queue.id));
    ops.store.apply(batch).await?;
    let (n, cores) = (i64::try_from(first).unwrap_or(0), refined.plan.cores);
    let state = JobState::Activated;
    statistics::generated(ops, &Made { lane, person: t.person_id, vo: &t.vo, label: &t.label, state, n, cores: n * cores });
    Ok(Report { done: first, more: first > 0 && (first < chunks.len() || !complete || others) })
}

/// The files whose jobs need the least memory (MB in the task's unit; what is below the task's own is the task's), and that memory: retries give
/// some files more, and a job has files of one memory only. The others come when these have jobs.
fn of_one_memory(files: Vec<TaskFile>, task_mb: i64) -> (Vec<TaskFile>, i64) {
    let of = |f: &TaskFile| f.ram_mb.max(task_mb);
    let least = files.iter().map(of).min().unwrap_or(task_mb);
    (files.into_iter().filter(|f| of(f) == least).collect(), least)
}

/// Input of a job, MB, when the number of its files is known beforehand: the first so many.
fn input_mb(plan: &Plan, files: &[TaskFile]) -> i64 {
    let bytes = match plan.limits.files {
        Some(n) => files.iter().take(n).filter_map(|f| f.fsize).sum(),
        None => 0,
    };
    bytes / 1_000_000
}

/// The task runs once it has jobs; otherwise the batch is guarded by its revision.
fn enter(batch: &mut Batch, t: &TaskRow, now: Micros) -> Result<(), EngineError> {
    if t.state == TaskState::Running {
        task::transition::guard(batch, t, now.0);
    } else {
        let after = TaskRow { state: TaskState::Running, started_us: t.started_us.or(Some(now.0)), reason: None, ..t.clone() };
        task::transition::move_to(batch, t, &after, Actor::Engine, now.0, None)?;
    }
    Ok(())
}

/// Puts a task on hold, with the reason as text and, from the broker, as data.
async fn hold(ops: &Ops, t: &TaskRow, reason: &str, choice: Option<&Choice>, now: Micros) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    if let Some(choice) = choice {
        broker::record(ops, &mut batch, t, choice, now.0).await?;
    }
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.to_owned()), ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, Some(reason))?;
    ops.store.apply(batch).await?;
    Ok(())
}

/// Puts a task on hold that the gate does not let through, with the gate's record.
async fn held_by_gate(ops: &Ops, t: &TaskRow, reason: &str, stage: &str, doc: &str, now: Micros) -> Result<Report, EngineError> {
    let mut batch = Batch::new();
    panda_store::query::decision::set(&mut batch, t.id.0, stage, now.0, doc);
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.to_owned()), ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, Some(reason))?;
    ops.store.apply(batch).await?;
    Ok(Report { done: 1, more: false })
}

/// Adds the jobs of these chunks.
async fn store(
    ops: &Ops,
    batch: &mut Batch,
    setting: &Setting<'_>,
    refined: &Refined,
    master: &TaskDataset,
    files: &[TaskFile],
    chunks: &[std::ops::Range<usize>],
) -> Result<LaneId, EngineError> {
    let plan = &refined.plan;
    let library = match &plan.build {
        Some(b) => Some(build::library(ops, batch, setting, b).await?),
        None => None,
    };
    let lane = setting.lane(ops, &setting.task.label, plan.cores, plan.ram_mb).await?;
    let outputs: Vec<(&TaskDataset, &panda_ops::task::plan::Output)> = pairs(setting.datasets, plan, plan.merge.is_some());
    let serial = outputs.first().map_or(1, |(d, _)| d.next_serial);
    let ids = ops.store.ids(IdKind::Job, chunks.len()).await?;
    let mut rows = ops.store.ids(IdKind::Row, chunks.len() * outputs.len() + 1).await?.into_iter();
    let common_id = rows.next().unwrap_or_default();
    let mut common_written = false;
    let mut takers = Vec::new();
    let mut secondary = Secondary::load(ops, setting).await?;
    for (n, range) in chunks.iter().enumerate() {
        let id = JobId(ids[n]);
        let serial = serial + i64::try_from(n).unwrap_or(0);
        let taken: Vec<&TaskFile> = files[range.clone()].iter().collect();
        let mut reads = read_master(setting, plan, &taken);
        let more = secondary.take(batch, id, taken.len(), taken.first().map_or(1, |f| f.seq));
        reads.extend(more);
        let priority = setting.priority(JobKind::Run, i64::try_from(n).unwrap_or(0));
        let made = make(setting, &mut rows, id, serial, &taken, &reads, &outputs, library.as_ref(), lane, priority)?;
        if !common_written {
            job::transition::add_common(batch, common_id, Some(setting.task.id), &made.common);
            common_written = true;
        }
        job::transition::add(batch, &made.row, common_id, &made.doc, Actor::Engine)?;
        for f in &made.files {
            job::file::add(batch, f);
        }
        takers.push(Taker { job: id.0, seqs: taken.iter().map(|f| f.seq).collect() });
    }
    for run in take::runs(&takers) {
        task::file::take(batch, master.id, &run);
    }
    let n = i64::try_from(chunks.len()).unwrap_or(0);
    for (d, _) in &outputs {
        task::dataset::take_serials(batch, d.id, d.next_serial, n);
        task::dataset::count(batch, d.id, Delta { files: n, ..Delta::default() });
    }
    let used: i64 = chunks.iter().map(|c| i64::try_from(c.len()).unwrap_or(0)).sum();
    let events_used: i64 = chunks.iter().flat_map(|c| &files[c.clone()]).filter_map(|f| f.n_events).sum();
    task::dataset::count(batch, master.id, Delta { used, events_used, ..Delta::default() });
    secondary.count(batch);
    Ok(lane)
}

/// The task's output data sets with their plan; the pre-merge ones when outputs are merged.
fn pairs<'a>(datasets: &'a [TaskDataset], plan: &'a Plan, pre_merge: bool) -> Vec<(&'a TaskDataset, &'a panda_ops::task::plan::Output)> {
    let mut out = Vec::new();
    for o in &plan.outputs {
        let role = match (o.is_log, pre_merge) {
            (false, false) => FileRole::Output,
            (true, false) => FileRole::Log,
            (false, true) => FileRole::TrnOutput,
            (true, true) => FileRole::TrnLog,
        };
        if let Some(d) = datasets.iter().find(|d| d.role == role && d.stream.as_deref() == Some(&o.stream)) {
            out.push((d, o));
        }
    }
    out
}

fn read_master(setting: &Setting<'_>, plan: &Plan, taken: &[&TaskFile]) -> Vec<Reads> {
    if plan.pseudo.is_some() {
        return Vec::new();
    }
    let stream = plan.inputs.iter().find(|i| i.master).map_or("IN", |i| i.stream.as_str());
    let dataset = |f: &TaskFile| setting.datasets.iter().find(|d| d.id == f.dataset_id).map_or(String::new(), |d| d.name.clone());
    taken.iter().map(|f| reads_of(f, stream, &dataset(f))).collect()
}

fn reads_of(f: &TaskFile, stream: &str, dataset: &str) -> Reads {
    Reads {
        stream: stream.to_owned(),
        lfn: f.lfn.clone(),
        scope: scope_of(f),
        guid: f.guid.clone(),
        fsize: f.fsize,
        checksum: f.checksum.clone(),
        dataset: dataset.to_owned(),
        local: false,
    }
}

#[expect(clippy::too_many_arguments, reason = "one job with all that belongs to it")]
fn make(
    setting: &Setting<'_>,
    rows: &mut impl Iterator<Item = i64>,
    id: JobId,
    serial: i64,
    taken: &[&TaskFile],
    reads: &[Reads],
    outputs: &[(&TaskDataset, &panda_ops::task::plan::Output)],
    library: Option<&Library>,
    lane: LaneId,
    priority: i64,
) -> Result<crate::generate::job::Made, EngineError> {
    let plan = setting.plan;
    let merging = plan.merge.is_some();
    let (mut files, mut named, mut pre_merge) = (Vec::new(), Vec::new(), Vec::new());
    for (seq, (d, o)) in outputs.iter().enumerate() {
        let final_name = if o.template.starts_with("regex|") {
            o.template.clone()
        } else {
            names::lfn(&o.template, setting.task.id.0, id.0, o.offset + serial)
        };
        let lfn = if merging { format!("{}{final_name}", names::PRE_MERGE) } else { final_name.clone() };
        if merging {
            pre_merge.push(final_name);
        }
        named.push((o.stream.clone(), lfn.clone()));
        let row_id = rows.next().unwrap_or_default();
        files.push(output_row(row_id, id, setting, Some(d.id), d.role, i64::try_from(seq).unwrap_or(0), lfn, o.optional));
    }
    let lib = library.map(|l| l.reads.lfn.as_str());
    let v = values(setting, taken, reads, &named, serial, lib);
    let job_pars = command_line(setting, &plan.template, &v, id, &pre_merge)?;
    // Addresses given by the user are read by the payload itself.
    let mut staged: Vec<Reads> = if plan.pfns.is_empty() { reads.to_vec() } else { Vec::new() };
    if let Some(l) = library {
        staged.push(l.reads.clone());
    }
    let mut row = setting.row(id, JobKind::Run, lane, priority);
    if let Some(wait) = library.and_then(|l| l.wait_for) {
        row.state = JobState::Defined;
        row.wait_job = Some(wait);
    }
    Ok(setting.documents(row, &plan.runner, &job_pars, &staged, files))
}

/// Secondary inputs: how many files of each a job gets, and which.
struct Secondary {
    sets: Vec<SecondarySet>,
}

struct SecondarySet {
    stream: String,
    dataset: i64,
    name: String,
    take: Take,
    reuse: Reuse,
    files: Vec<TaskFile>,
    next: usize,
    used: i64,
    events_used: i64,
}

impl Secondary {
    async fn load(ops: &Ops, setting: &Setting<'_>) -> Result<Self, EngineError> {
        let mut sets = Vec::new();
        for input in setting.plan.inputs.iter().filter(|i| !i.master) {
            let Some(d) = setting.datasets.iter().find(|d| d.role == FileRole::Input && d.stream.as_deref() == Some(&input.stream)) else {
                continue;
            };
            let recurring = input.is_recurring();
            // A set that starts again is never used up, so its rows are only read; the others are taken in order.
            let files = if recurring {
                task::file::page(&ops.store, d.id, 0, WINDOW).await?
            } else {
                task::file::ready(&ops.store, d.id, 0, WINDOW).await?
            };
            sets.push(SecondarySet {
                stream: input.stream.clone(),
                dataset: d.id,
                name: d.name.clone(),
                take: input.take,
                reuse: input.reuse,
                files,
                next: 0,
                used: 0,
                events_used: 0,
            });
        }
        Ok(Self { sets })
    }
    /// Files for the next job, which has `masters` master files, the first of them the `seq`-th of its set.
    fn take(&mut self, batch: &mut Batch, job: JobId, masters: usize, seq: i64) -> Vec<Reads> {
        let mut out = Vec::new();
        for set in &mut self.sets {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a count of files")]
            let n = match set.take {
                Take::Whole => set.files.len(),
                Take::PerJob(n) => n,
                Take::Ratio(ratio) | Take::EventRatio(ratio) => (ratio * masters as f64).round().max(0.0) as usize,
            };
            let (whole, reusable) = (set.take == Take::Whole, set.reuse != Reuse::Never);
            let len = set.files.len();
            let mut ids = Vec::new();
            for k in 0..n.min(len.max(1)) {
                let at = if whole {
                    k
                } else if reusable {
                    (usize::try_from(seq - 1).unwrap_or(0) * n / masters.max(1) + k) % len.max(1)
                } else {
                    set.next + k
                };
                let Some(f) = set.files.get(at) else { break };
                out.push(reads_of(f, &set.stream, &set.name));
                if !whole && !reusable {
                    ids.push(f.seq);
                    set.events_used += f.n_events.unwrap_or(0);
                }
            }
            set.next += ids.len();
            set.used += i64::try_from(ids.len()).unwrap_or(0);
            for run in take::runs(&[Taker { job: job.0, seqs: ids }]) {
                task::file::take(batch, set.dataset, &run);
            }
        }
        out
    }
    fn count(self, batch: &mut Batch) {
        for set in self.sets {
            task::dataset::count(batch, set.dataset, Delta { used: set.used, events_used: set.events_used, ..Delta::default() });
        }
    }
}

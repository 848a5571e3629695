//! Gives submitted tasks their data sets and files: registered → defined → ready.

use std::collections::HashSet;

use panda_core::{
    file::FileRole,
    id::TaskId,
    machine::Actor,
    policy::{
        feed::{Cut, Feed, File, Rules, Taken},
        names,
    },
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    task::plan::{Input, Plan},
};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        dataset::{self, DatasetFile},
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            file::TaskFile,
        },
    },
};

use super::{TASKS_A_STEP, command};
use crate::{EngineError, Report, finish::catalogue, plan};

/// Rows of one batch.
const ROWS_A_BATCH: usize = 400;
/// Files listed at a time.
const PAGE: i64 = 1_000;
/// Most files of one task here; the rest of the way needs them in memory only a page at a time, their names once.
const MAX_FILES: usize = 200_000;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let mut report = Report::default();
    let mut after = TaskId(0);
    let states = [TaskState::Registered, TaskState::Rerefine, TaskState::Defined];
    loop {
        let tasks = task::list::in_states(&ops.store, &states, after, TASKS_A_STEP).await?;
        let Some(last) = tasks.last() else { return Ok(report) };
        after = last.id;
        for t in tasks {
            match one(ops, &t, now).await {
                Ok(()) => report.done += 1,
                Err(e) if e.is_conflict() => report.more = true,
                Err(e) => tracing::error!(task = %t.id, "refining: {e}"),
            }
        }
    }
}

async fn one(ops: &Ops, t: &TaskRow, now: Micros) -> Result<(), EngineError> {
    let t = if t.state == TaskState::Defined { t.clone() } else { define(ops, t, now).await? };
    feed(ops, &t, now).await
}

/// Makes the data sets and moves the task to defined.
async fn define(ops: &Ops, t: &TaskRow, now: Micros) -> Result<TaskRow, EngineError> {
    let refined = match plan::of(ops, t).await {
        Ok(refined) => refined,
        Err(e @ EngineError::Internal(_)) => return broken(ops, t, &e.to_string(), now).await,
        Err(e) => return Err(e),
    };
    let existing = task::dataset::of_task(&ops.store, t.id).await?;
    let mut batch = Batch::new();
    if existing.is_empty() {
        for d in datasets(ops, t, &refined.plan).await? {
            task::dataset::add(&mut batch, &d);
        }
    } else {
        // Taken up again: what failed is tried once more, new files are added below.
        command::revive(ops, &mut batch, t).await?;
    }
    let after = TaskRow { state: TaskState::Defined, reason: None, ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, None)?;
    ops.store.apply(batch).await?;
    Ok(TaskRow { rev: t.rev + 1, ..after })
}

async fn broken(ops: &Ops, t: &TaskRow, reason: &str, now: Micros) -> Result<TaskRow, EngineError> {
    let mut batch = Batch::new();
    let after = TaskRow { state: TaskState::Tobroken, reason: Some(reason.to_owned()), ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, Some(reason))?;
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    Ok(TaskRow { rev: t.rev + 1, ..after })
}

async fn datasets(ops: &Ops, t: &TaskRow, plan: &Plan) -> Result<Vec<TaskDataset>, EngineError> {
    let mut out = Vec::new();
    let row =
        |role: FileRole, name: &str, stream: &str, is_master: bool| TaskDataset { is_master, ..TaskDataset::new(t.id, role, name, stream) };
    if plan.pseudo.is_some() {
        out.push(row(FileRole::PseudoInput, "pseudo_dataset", "pseudo", true));
    }
    if !plan.pfns.is_empty() {
        out.push(row(FileRole::PseudoInput, "pfn_list", "IN", true));
    }
    for input in &plan.inputs {
        let name: String = input.datasets.join(",").chars().take(255).collect();
        let master = input.master && plan.pseudo.is_none() && plan.pfns.is_empty();
        out.push(row(FileRole::Input, &name, &input.stream, master));
    }
    for o in &plan.outputs {
        let role = if o.is_log { FileRole::Log } else { FileRole::Output };
        out.push(TaskDataset { pattern: Some(o.template.clone()), ..row(role, &o.dataset, &o.stream, false) });
        catalogue::ensure(ops, &t.vo, &o.dataset, t.person_id).await?;
        if plan.merge.is_some() {
            let role = if o.is_log { FileRole::TrnLog } else { FileRole::TrnOutput };
            let name = format!("{}{}", names::PRE_MERGE, o.dataset);
            out.push(TaskDataset { pattern: Some(format!("{}{}", names::PRE_MERGE, o.template)), ..row(role, &name, &o.stream, false) });
        }
    }
    let ids = ops.store.ids(IdKind::Row, out.len()).await?;
    for (n, (d, id)) in out.iter_mut().zip(ids).enumerate() {
        d.id = id;
        d.seq = i64::try_from(n).unwrap_or(0);
    }
    Ok(out)
}

/// Lists the files of every input and moves the task to ready; on hold when a data set does not exist (yet).
async fn feed(ops: &Ops, t: &TaskRow, now: Micros) -> Result<(), EngineError> {
    let refined = plan::of(ops, t).await?;
    let plan = &refined.plan;
    let mut total = 0;
    for d in task::dataset::of_task(&ops.store, t.id).await?.iter().filter(|d| d.role.is_input()) {
        let input = plan.inputs.iter().find(|i| d.role == FileRole::Input && Some(i.stream.as_str()) == d.stream.as_deref());
        let listed = match input {
            Some(input) => list(ops, t, plan, input).await?,
            None => Ok(pseudo(plan)),
        };
        let files = match listed {
            Ok(files) => files,
            Err(Problem::Wait(reason)) => return hold(ops, t, &reason, now).await,
            Err(Problem::Broken(reason)) => return broken(ops, t, &reason, now).await.map(|_| ()),
        };
        if files.is_empty() && d.is_master && d.n_files == 0 && !plan.feed.allow_empty {
            return broken(ops, t, &format!("no file of {} matches; check the data set and the filters", d.name), now).await.map(|_| ());
        }
        total += add(ops, t, plan, d, files, now).await?;
    }
    let mut batch = Batch::new();
    for d in task::dataset::of_task(&ops.store, t.id).await?.iter().filter(|d| d.role.is_input()) {
        let listed = TaskDataset { state: "ready".into(), ..d.clone() };
        task::dataset::progress(&mut batch, d, &listed, Delta::default(), now.0);
    }
    let after = TaskRow { state: TaskState::Ready, reason: None, ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, Some(&format!("{total} files")))?;
    batch.wake(Topic::Files);
    if total == 0 {
        // Nothing new to run: it may be at its end at once. Otherwise the loop that closes tasks is left alone, it looks at all that run.
        batch.wake(Topic::Ended);
    }
    ops.store.apply(batch).await?;
    Ok(())
}

enum Problem {
    Wait(String),
    Broken(String),
}

async fn hold(ops: &Ops, t: &TaskRow, reason: &str, now: Micros) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.to_owned()), ..t.clone() };
    task::transition::move_to(&mut batch, t, &after, Actor::Engine, now.0, Some(reason))?;
    ops.store.apply(batch).await?;
    Ok(())
}

/// Rows of a pseudo input, or of a list of addresses.
fn pseudo(plan: &Plan) -> Vec<DatasetFile> {
    match plan.pseudo {
        Some((jobs, events)) => (1..=jobs)
            .map(|n| DatasetFile { lfn: format!("pseudo_lfn.{n:06}"), n_events: Some(events), ..DatasetFile::default() })
            .collect(),
        // Text after `^` is the number of events.
        None => plan
            .pfns
            .iter()
            .map(|p| {
                let (address, events) = p.split_once('^').map_or((p.as_str(), None), |(a, e)| (a, e.parse().ok()));
                DatasetFile { lfn: address.to_owned(), n_events: events, ..DatasetFile::default() }
            })
            .collect(),
    }
}

async fn list(ops: &Ops, t: &TaskRow, plan: &Plan, input: &Input) -> Result<Result<Vec<DatasetFile>, Problem>, EngineError> {
    let compile = |list: &[String], anchored: bool| -> Vec<regex::Regex> {
        list.iter().filter_map(|e| regex::Regex::new(&if anchored { format!("^(?:{e})") } else { e.clone() }).ok()).collect()
    };
    let (include, exclude) = (compile(&input.include, true), compile(&input.exclude, false));
    let mut files = Vec::new();
    for name in &input.datasets {
        let plain = catalogue::plain_name(name);
        let Some(found) = dataset::by_name(&ops.store, &t.vo, plain).await? else {
            return Ok(Err(Problem::Wait(format!(
                "data set {name} does not exist in VO {}; register it with `panda dataset add {plain} --dir DIR`",
                t.vo
            ))));
        };
        let mut after = String::new();
        loop {
            let page = dataset::files(&ops.store, found.id, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.lfn);
            files.extend(page.into_iter().filter(|f| {
                (include.is_empty() || include.iter().any(|r| r.is_match(&f.lfn)))
                    && !exclude.iter().any(|r| r.is_match(&f.lfn))
                    && (input.files.is_empty() || input.files.iter().any(|w| w.rsplit(':').next() == Some(&f.lfn)))
            }));
            if files.len() > MAX_FILES {
                return Ok(Err(Problem::Broken(format!("{name} has more than {MAX_FILES} files; use filters or several tasks"))));
            }
        }
    }
    let files: Vec<DatasetFile> = files.into_iter().skip(usize::try_from(input.offset).unwrap_or(0)).collect();
    Ok(Ok(if input.master { limit(plan, files) } else { files }))
}

/// Keeps at most the files and events that the task asks for.
fn limit(plan: &Plan, files: Vec<DatasetFile>) -> Vec<DatasetFile> {
    let most = plan.n_files.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut events = 0;
    let mut out = Vec::new();
    for f in files.into_iter().take(most) {
        if plan.n_events.is_some_and(|n| events >= n) {
            break;
        }
        events += plan.events_of(f.n_events).unwrap_or(0);
        out.push(f);
    }
    out
}

/// Adds the rows that are not there yet; the answer is their number.
async fn add(ops: &Ops, t: &TaskRow, plan: &Plan, d: &TaskDataset, files: Vec<DatasetFile>, now: Micros) -> Result<usize, EngineError> {
    let known = if d.n_files > 0 { known_names(ops, d).await? } else { HashSet::new() };
    let mut seq = d.n_files;
    let cut = if d.is_master { plan.cut } else { Cut::No };
    let rules = Rules { cut, ..Rules::default() };
    let mut feed = Feed::default();
    let mut rows = Vec::new();
    for f in files.into_iter().filter(|f| !known.contains(&f.lfn)) {
        let facts = File { events: plan.events_of(f.n_events), lumiblock: None };
        let parts = match feed.take(&rules, &facts, usize::MAX) {
            Taken::Rows { parts, .. } => parts,
            Taken::Uncounted => vec![panda_core::policy::feed::Part { events: None, range: None, number: None }],
            Taken::Skipped | Taken::Full => Vec::new(),
        };
        for part in parts {
            seq += 1;
            rows.push(row(plan, d, &f, seq, (part.events, part.range.map(|r| r.0), part.range.map(|r| r.1))));
        }
    }
    let n = rows.len();
    for chunk in rows.chunks(ROWS_A_BATCH) {
        let ids = ops.store.ids(IdKind::Row, chunk.len()).await?;
        let mut batch = Batch::new();
        task::transition::guard(&mut batch, t, now.0);
        for (r, id) in chunk.iter().zip(ids) {
            task::file::add(&mut batch, &TaskFile { id, ..r.clone() });
        }
        let events = chunk.iter().filter_map(|r| r.n_events).sum();
        task::dataset::count(&mut batch, d.id, Delta { files: i64::try_from(chunk.len()).unwrap_or(0), events, ..Delta::default() });
        ops.store.apply(batch).await?;
    }
    Ok(n)
}

/// Names of the files that a data set has already.
async fn known_names(ops: &Ops, d: &TaskDataset) -> Result<HashSet<String>, EngineError> {
    let mut known = HashSet::new();
    let mut after = 0;
    loop {
        let page = task::file::page(&ops.store, d.id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(known) };
        after = last.seq;
        known.extend(page.into_iter().map(|f| f.lfn));
    }
}

fn row(plan: &Plan, d: &TaskDataset, f: &DatasetFile, seq: i64, events: (Option<i64>, Option<i64>, Option<i64>)) -> TaskFile {
    TaskFile {
        scope: Some(f.scope.clone()).filter(|s| !s.is_empty()),
        guid: f.guid.clone(),
        fsize: f.fsize,
        checksum: f.checksum.clone(),
        n_events: events.0,
        first_event: events.1,
        last_event: events.2,
        surl: f.surl.clone(),
        max_attempt: plan.max_attempt,
        lumiblock: f.lumiblock,
        ..TaskFile::new(d, seq, &f.lfn)
    }
}

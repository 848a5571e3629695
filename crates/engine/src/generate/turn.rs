//! One task's turn: reads ready rows, asks gate and broker, splits, and has the jobs written (`spec/engine.md` sections 5.5 and 6.1).

use std::{collections::HashMap, ops::Range, sync::Arc};

use panda_core::{
    file::FileState,
    machine::Actor,
    policy::{
        names,
        resource::Types,
        scout::Part,
        split::{self, Stop},
    },
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{
    Ops,
    job::priority::{self, Standing},
};
use panda_store::{
    Batch, Topic,
    query::{
        decision,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            file::TaskFile,
        },
    },
};
use serde_json::json;

use super::{
    broker,
    cut::Cut,
    events::{self, Stand},
    gate::{self, Gate},
    job::Reads,
    naming::Names,
    node,
    place::{Place, Places},
    secondary::{self, Set},
    write::{self, Enters},
};
use crate::{
    EngineError, Report,
    feed::{INPUT_STAGE, fresh},
    plan::{self, Refined},
    scout,
};

/// Stage of the record of a task whose outputs cannot be named.
pub(super) const NAMES_STAGE: &str = "names";
/// Ready rows read at a time.
const WINDOW: i64 = 1_000;
/// Jobs of one turn: a task that comes meanwhile waits until they are written.
pub const JOBS: usize = 1_000;

/// A job to be made.
#[derive(Debug)]
pub struct Job {
    /// Where it goes: index into [`Turn::places`].
    pub place: usize,
    /// Its rows: indices into [`Turn::files`].
    pub rows: Range<usize>,
    /// Files of each secondary set.
    pub picks: Vec<Vec<usize>>,
    /// The job (index) whose rows it shares; that one is in charge of them.
    pub shares: Option<usize>,
    /// It takes ranges of all files of the task; its rows are what it reads at first.
    pub jumbo: bool,
}

/// A task's turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Operations.
    pub ops: &'a Ops,
    /// The task.
    pub t: &'a TaskRow,
    /// Its parameters and plan.
    pub refined: &'a Arc<Refined>,
    /// Its data sets.
    pub datasets: Vec<TaskDataset>,
    /// Shown name of the owner.
    pub owner: String,
    /// How the owner stands, for priorities.
    pub standing: Standing,
    /// Resource types.
    pub types: Arc<Types>,
    /// Its jobs are scouts.
    pub scouts: bool,
    /// Ready rows of the master, those of one memory together.
    pub files: Vec<TaskFile>,
    /// Arguments of the nodes that the rows are, by their number; of a DAG.
    pub args: HashMap<i64, String>,
    /// How rows whose events jobs take in ranges stand, by id.
    pub stands: HashMap<i64, Stand>,
    /// What merges of ranges read, by their first row.
    pub stored: HashMap<i64, Vec<Reads>>,
    /// Secondary sets.
    pub sets: Vec<Set>,
    /// Queues drawn.
    pub places: Vec<Place>,
    /// How outputs are named.
    pub names: Names,
    /// The present time.
    pub now: Micros,
}

/// Makes at most `most` jobs ([`JOBS`] or less) of at most `windows` windows of rows.
pub async fn turn(ops: &Ops, t: &TaskRow, windows: usize, most: usize, now: Micros) -> Result<Report, EngineError> {
    let fresh = fresh::take(ops, t);
    let refined = match &fresh {
        Some(fresh) => fresh.refined.clone(),
        None => plan::of(ops, t).await?,
    };
    if let Some(reason) = &refined.plan.hold {
        return hold(ops, t, None, reason, now).await;
    }
    let names = match Names::of(ops, t).await {
        Ok(names) => names,
        Err(e) => return held_by_plugin(ops, t, e, now).await,
    };
    let (datasets, ready) = match fresh {
        Some(fresh) => (fresh.datasets, Some(fresh.files)),
        None => (task::dataset::of_task(&ops.store, t.id).await?, None),
    };
    let Some(master) = datasets.iter().find(|d| d.has_more()) else { return Ok(Report::default()) };
    let master = master.clone();
    let (files, more) = match ready {
        Some(files) => (files, false),
        None => rows(ops, &master, windows).await?,
    };
    if files.is_empty() {
        return Ok(Report::default());
    }
    let values = ops.settings().await?;
    let part = scout::part(&values, t, &refined, &datasets);
    let (files, more, tried_again) = match part {
        Part::Again(0) => return wait_for_scouts(ops, t, &datasets, now).await,
        // Only what scouts have taken before; it is all that there is of it.
        Part::Again(n) => (files.into_iter().take(usize::try_from(n).unwrap_or(0)).collect(), false, true),
        Part::First | Part::All => (files, more, false),
    };
    let task_mb = refined.plan.needs.ram.mb;
    let least = files.iter().map(|f| memory(f, task_mb)).min().unwrap_or(task_mb);
    let at_most = match gate::gate(ops, t, &refined.clone().with_memory(least)).await? {
        Gate::Go { at_most } => at_most,
        Gate::Hold { reason, stage, doc } => return hold(ops, t, Some((stage, doc)), &reason, now).await,
    };
    let sets = match secondary::load(ops, &refined.plan, &datasets, files.len()).await? {
        Ok(sets) => sets,
        Err(reason) => return crate::feed::broken(ops, t, &reason, now).await.map(|()| Report { done: 1, more: false }),
    };
    let owner = ops.person_by_id(t.person_id).await?;
    let standing = priority::standing(ops, &owner, &t.vo, &t.label, t.working_group.as_deref().unwrap_or_default()).await?;
    let types = ops.resource_types().await?;
    let owner = owner.name.clone();
    let scouts = part != Part::All;
    let mut turn = Turn {
        ops,
        t,
        refined: &refined,
        datasets,
        owner,
        standing,
        types,
        scouts,
        files,
        args: HashMap::new(),
        stands: HashMap::new(),
        stored: HashMap::new(),
        sets,
        places: Vec::new(),
        names,
        now,
    };
    let grows = !tried_again && (master.state == "feeding" || (master.is_open && !refined.plan.feed.no_pooling));
    if let Some(why) = Box::pin(turn.stand()).await? {
        return crate::feed::broken(ops, t, &why, now).await.map(|()| Report { done: 1, more: false });
    }
    let stands = std::mem::take(&mut turn.stands);
    turn.files.sort_by_key(|f| (memory(f, task_mb), stands.get(&f.id).copied()));
    turn.stands = stands;
    if grows && refined.plan.feed.release_per_lumiblock {
        turn.keep_whole_lumiblocks();
    }
    let mut places = Places::new(master.n_used);
    let at_most = if part == Part::First { at_most.min(scout::first(&values, t).0) } else { at_most };
    let sharing = refined.plan.events.as_ref().map_or(1, |e| usize::try_from(e.sharing).unwrap_or(1));
    let most = most.min(turn.names.most_jobs(refined.plan.outputs.len()));
    let at_most = at_most.min(most).div_ceil(sharing);
    let mut cut = turn.cut(&mut places, !more && !grows, at_most).await?;
    let waits = grows && refined.plan.feed.chunks_to_wait.is_some_and(|n| (cut.jobs.len() as i64) < n && cut.jobs.len() < at_most);
    if let Some(held) = places.held().filter(|_| cut.jobs.is_empty()) {
        return broker::hold(ops, t, held, now).await;
    }
    if cut.jobs.is_empty() || waits {
        return turn.none(&master, &cut, waits).await;
    }
    match Box::pin(turn.stored(&cut.jobs)).await? {
        Ok(stored) => turn.stored = stored,
        Err(why) => return crate::feed::broken(ops, t, &why, now).await.map(|()| Report { done: 1, more: false }),
    }
    let limited = cut.stop == Some(Stop::Enough) && at_most <= cut.jobs.len();
    if master.is_dag() {
        let taken = cut.jobs.iter().flat_map(|j| &turn.files[j.rows.clone()]).map(|f| f.seq);
        turn.args = node::args(ops, master.id, taken).await?;
    }
    let enters = turn.enters(&master, part, &cut.jobs, grows || more);
    cut.jobs = Box::pin(turn.shared(&mut places, cut.jobs)).await?;
    Box::pin(turn.jumbo(&mut places, &mut cut.jobs)).await?;
    let outputs = write::outputs(&turn, &cut.jobs);
    match turn.names.prepare(ops, t, &outputs, Topic::Files).await {
        Ok(None) => {}
        Ok(Some(reason)) => return asked(ops, t, &reason, now).await,
        Err(e) => return held_by_plugin(ops, t, e, now).await,
    }
    let done = match write::write(&turn, &master, &cut.jobs, &cut.next, places.first(), enters).await {
        Ok(done) => done,
        Err(e) => return held_by_plugin(ops, t, e, now).await,
    };
    if let Some(short) = cut.short {
        turn.skip(&master, short).await?;
    }
    Ok(Report { done: done.jobs, more: !limited && (more || cut.stop.is_some_and(|s| s != Stop::Grows) || done.conflict) })
}

/// All that scouts take is in the hands of jobs: the rest waits until they are assessed.
async fn wait_for_scouts(ops: &Ops, t: &TaskRow, datasets: &[TaskDataset], now: Micros) -> Result<Report, EngineError> {
    let mut batch = Batch::new();
    if t.state == TaskState::Ready {
        let after = TaskRow { state: TaskState::Scouting, reason: None, ..t.clone() };
        ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some("its scouts are under way")).await?;
        batch.wake(Topic::Ended);
    }
    scout::rest(&mut batch, datasets);
    ops.store.apply(batch).await?;
    Ok(Report::default())
}

/// Memory of a file's job, MB in the task's unit: retries give some files more than the task's, less is the task's.
pub(super) fn memory(f: &TaskFile, task_mb: i64) -> i64 {
    f.ram_mb.max(task_mb)
}

/// Ready rows, and whether there are more.
async fn rows(ops: &Ops, d: &TaskDataset, windows: usize) -> Result<(Vec<TaskFile>, bool), EngineError> {
    let mut files: Vec<TaskFile> = Vec::new();
    for _ in 0..windows.max(1) {
        let page = task::file::ready(&ops.store, d.id, files.last().map_or(0, |f| f.seq), WINDOW).await?;
        let full = page.len() as i64 == WINDOW;
        files.extend(page);
        if !full {
            return Ok((files, false));
        }
    }
    Ok((files, true))
}

/// Puts a task on hold, with the reason as text and, from whoever holds it, as data.
async fn hold(ops: &Ops, t: &TaskRow, record: Option<(&'static str, String)>, reason: &str, now: Micros) -> Result<Report, EngineError> {
    let mut batch = Batch::new();
    if let Some((stage, doc)) = record {
        decision::set(&mut batch, t.id.0, stage, now.0, &doc);
    }
    let after = TaskRow { state: TaskState::Pending, prev_state: Some(t.state), reason: Some(reason.to_owned()), ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(reason)).await?;
    ops.store.apply(batch).await?;
    Ok(Report { done: 1, more: false })
}

/// Puts a task on hold whose naming plug-in gives no names; other errors go on.
async fn held_by_plugin(ops: &Ops, t: &TaskRow, e: EngineError, now: Micros) -> Result<Report, EngineError> {
    let Some(reason) = e.waits() else { return Err(e) };
    let doc = json!({ "reason": reason }).to_string();
    hold(ops, t, Some((NAMES_STAGE, doc)), reason, now).await
}

/// Records that a naming plug-in has not answered yet; the answer wakes the loop.
async fn asked(ops: &Ops, t: &TaskRow, reason: &str, now: Micros) -> Result<Report, EngineError> {
    let mut batch = Batch::new();
    decision::set(&mut batch, t.id.0, NAMES_STAGE, now.0, &json!({ "reason": reason }).to_string());
    ops.store.apply(batch).await?;
    Ok(Report::default())
}

impl Turn<'_> {
    /// Looks how the events of the rows stand, and leaves out rows that no job would help now; the answer is why no jobs can be made.
    async fn stand(&mut self) -> Result<Option<String>, EngineError> {
        let Some(how) = self.refined.plan.events.as_ref().filter(|e| e.is_service()) else { return Ok(None) };
        match events::stands(self.ops, how, &self.files).await? {
            Ok(all) => {
                self.files.retain(|f| all.get(&f.id).is_some_and(Option::is_some));
                self.stands = all.into_iter().filter_map(|(id, s)| Some((id, s?))).collect();
                Ok(None)
            }
            Err(why) => Ok(Some(why)),
        }
    }
    /// The memory that these rows need, MB in the task's unit.
    pub(super) fn memory_of(&self, rows: &Range<usize>) -> i64 {
        let task_mb = self.refined.plan.needs.ram.mb;
        self.files.get(rows.start).map_or(task_mb, |f| memory(f, task_mb))
    }
    /// Leaves out the rows of the last lumiblock: more of it may come (RP).
    fn keep_whole_lumiblocks(&mut self) {
        let Some(last) = self.files.last().map(|f| f.lumiblock) else { return };
        while self.files.last().is_some_and(|f| f.lumiblock == last) {
            self.files.pop();
        }
    }
    /// Which fields of names go into names of outputs (AN).
    pub fn fields(&self) -> Vec<usize> {
        let text = self.refined.params.add_nth_field_to_lfn.as_deref().unwrap_or_default();
        text.split(',').filter_map(|n| n.trim().parse().ok()).collect()
    }
    /// The part of a job's output names that comes from its input.
    pub fn middle(&self, fields: &[usize], first: Option<&TaskFile>) -> String {
        if fields.is_empty() {
            return String::new();
        }
        let of_file = self.refined.params.use_file_as_source_lfn == Some(true);
        let set = self.refined.plan.inputs.iter().find(|i| i.master).and_then(|i| i.datasets.first());
        match (of_file, first, set) {
            (true, Some(f), _) => names::fields(&f.lfn, fields),
            (_, _, Some(name)) => names::fields(crate::finish::catalogue::plain_name(name), fields),
            _ => String::new(),
        }
    }
    /// What the task is when it has these jobs: scouts are first jobs that others wait for.
    fn enters(&self, master: &TaskDataset, part: Part, jobs: &[Job], grows: bool) -> Enters {
        match part {
            Part::All => Enters::Running,
            Part::Again(_) => Enters::Scouting(None),
            Part::First => {
                let taken = jobs.iter().filter(|j| j.shares.is_none()).map(|j| j.rows.len()).sum::<usize>();
                let others = self.datasets.iter().any(|d| d.is_master && d.id != master.id && d.n_files > 0);
                let left = grows || others || taken < self.files.len();
                if left { Enters::Scouting(Some(i64::try_from(taken).unwrap_or(i64::MAX))) } else { Enters::Running }
            }
        }
    }
    /// No job can be made now: says why when nothing will change that by itself.
    async fn none(&self, master: &TaskDataset, cut: &Cut, waits: bool) -> Result<Report, EngineError> {
        if let Some(short) = &cut.short {
            self.skip(master, short.clone()).await?;
            return Ok(Report { done: 1, more: false });
        }
        match cut.stop {
            Some(Stop::Starved(i)) if !waits => {
                let set = self.sets[i].name();
                let reason = format!(
                    "secondary input {set} has no files left for the next job; add files to it, or let it start again (`reusable`, `reuseSecOnDemand`)"
                );
                let doc = json!({"reason": reason}).to_string();
                hold(self.ops, self.t, Some((INPUT_STAGE, doc)), &reason, self.now).await
            }
            Some(Stop::TooMany) => {
                let most = split::MAX_TOTAL_FILES;
                let reason = format!("the next job would read more than {most} files, whatever is done; use fewer secondary files a job");
                crate::feed::broken(self.ops, self.t, &reason, self.now).await?;
                Ok(Report { done: 1, more: false })
            }
            _ => {
                // The first job may still grow: until then the task is left alone.
                let mut batch = Batch::new();
                task::dataset::rest(&mut batch, master);
                self.ops.store.apply(batch).await?;
                Ok(Report::default())
            }
        }
    }
    /// Rows that no job will have count as failed.
    async fn skip(&self, master: &TaskDataset, rows: Range<usize>) -> Result<(), EngineError> {
        let mut batch = Batch::new();
        let ids: Vec<i64> = self.files[rows.clone()].iter().map(|f| f.id).collect();
        let n = i64::try_from(ids.len()).unwrap_or(0);
        let events_used = self.files[rows].iter().filter_map(|f| f.n_events).sum();
        task::file::move_all(&mut batch, &ids, FileState::Ready, FileState::Skipped);
        task::dataset::count(&mut batch, master.id, Delta { used: n, failed: n, events_used, ..Delta::default() });
        batch.wake(Topic::Ended);
        Ok(self.ops.store.apply(batch).await?)
    }
}

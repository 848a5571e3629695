//! Writes the jobs of a turn: batches of about 500 rows, several at a time; what they share goes before them.

mod ranges;

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use panda_core::{
    file::FileRole,
    id::JobId,
    job::{record::JobKind, state::JobState},
    machine::Actor,
    policy::{
        feed::Cut,
        names,
        split::{
            sequence::{self, Numbering},
            take::{self, Taker},
        },
    },
    task::state::TaskState,
};
use panda_ops::{
    statistics,
    task::plan::{Adjust, Output, Plan},
};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        decision, job,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
            file::TaskFile,
        },
    },
};

use super::{
    broker::{self, Choice},
    build::{self, Library},
    events,
    job::{Made, Reads, output_row, reads_of},
    naming::{self, Output as Named},
    turn::{Job, NAMES_STAGE, Turn},
    words::{JobValues, command_line, values},
};
use crate::EngineError;

/// Rows of one batch; near its bound of 500.
const ROWS: usize = 460;
/// Batches of one turn under way at the same time.
const AT_ONCE: usize = 4;
/// Longest name of a job: what the column holds.
const MAX_NAME: usize = 255;
/// Rows of a job beside its outputs: the row, the document, the history.
const OWN_ROWS: usize = 3;

/// What was written.
#[derive(Debug, Default)]
pub struct Done {
    /// Jobs.
    pub jobs: usize,
    /// Whether somebody else changed the task before all were written.
    pub conflict: bool,
}

/// What a task that is ready becomes by its first jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enters {
    /// It runs.
    Running,
    /// Its scouts run; when they are made now, how many files they take.
    Scouting(Option<i64>),
}

/// What all jobs of a turn need to know.
struct Shared<'a> {
    turn: &'a Turn<'a>,
    master: &'a TaskDataset,
    /// Output data sets; the pre-merge ones when outputs are merged.
    outputs: Vec<(&'a TaskDataset, &'a Output)>,
    /// For each place: the library, and the row of the common document.
    libraries: Vec<Option<Library>>,
    commons: BTreeMap<(usize, JobKind), i64>,
    /// Serial of the first job.
    serial: i64,
    /// Number of the first job; the others follow.
    ids: Vec<JobId>,
    fields: Vec<usize>,
    numbering: Numbering,
}

/// Writes the jobs.
pub async fn write(
    turn: &Turn<'_>,
    master: &TaskDataset,
    jobs: &[Job],
    next: &[usize],
    choice: Option<&Choice>,
    enters: Enters,
) -> Result<Done, EngineError> {
    let plan = &turn.refined.plan;
    let ids = turn.ops.store.ids(IdKind::Job, jobs.len()).await?.into_iter().map(JobId).collect();
    let outputs = pairs(&turn.datasets, plan);
    let serial = outputs.first().map_or(1, |(d, _)| d.next_serial);
    let numbering = numbering(plan);
    let fields = turn.fields();
    let mut shared = Shared { turn, master, outputs, libraries: Vec::new(), commons: BTreeMap::new(), serial, ids, fields, numbering };
    // New rows come first: those of several batches can be one statement.
    let (mut first, mut rest) = (Batch::new(), Batch::new());
    shared.prepare(&mut first, jobs).await?;
    if let Some(choice) = choice {
        broker::record(turn.ops, &mut rest, turn.t, choice, turn.now.0).await?;
    }
    if turn.names.is_own() {
        decision::delete(&mut rest, turn.t.id.0, NAMES_STAGE);
    }
    for (d, _) in &shared.outputs {
        task::dataset::take_serials(&mut rest, d.id, d.next_serial, i64::try_from(jobs.len()).unwrap_or(0));
    }
    for (set, next) in turn.sets.iter().zip(next) {
        set.advance(&mut rest, *next);
    }
    let each = OWN_ROWS + shared.outputs.len();
    let parts = parts(&shared, jobs, each);
    if let [only] = &parts[..] {
        // A small task is one commit.
        shared.add(&mut first, jobs, only.clone()).await?;
        first.append(rest);
        enter(turn, &mut first, enters).await?;
        shared.wake(&mut first, &jobs[only.clone()]);
        first.relax();
        turn.ops.store.apply(first).await?;
        shared.note(jobs);
        return Ok(Done { jobs: jobs.len(), conflict: false });
    }
    first.append(rest);
    let t = enter(turn, &mut first, enters).await?;
    first.relax();
    turn.ops.store.apply(first).await?;
    let (shared, t) = (&shared, &t);
    let work = parts.into_iter().map(|part| async move {
        let mut batch = Batch::new();
        let n = part.len();
        shared.add(&mut batch, jobs, part.clone()).await?;
        task::transition::guard(&mut batch, t, turn.now.0);
        shared.wake(&mut batch, &jobs[part.clone()]);
        batch.relax();
        turn.ops.store.apply(batch).await?;
        shared.note(&jobs[part]);
        Ok::<usize, EngineError>(n)
    });
    let mut done = Done::default();
    let mut work = stream::iter(work).buffer_unordered(AT_ONCE);
    while let Some(written) = work.next().await {
        match written {
            Ok(n) => done.jobs += n,
            Err(e) if e.is_conflict() => done.conflict = true,
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// The task runs once it has jobs; otherwise the batch is guarded by its revision. The answer is the task as it is then.
async fn enter(turn: &Turn<'_>, batch: &mut Batch, enters: Enters) -> Result<TaskRow, EngineError> {
    let (ops, t, now_us) = (turn.ops, turn.t, turn.now.0);
    let mut state = TaskState::Running;
    if let Enters::Scouting(first) = enters {
        state = TaskState::Scouting;
        if first.is_some() {
            let adjust = Adjust { scouts: first, ..turn.refined.adjust.clone() };
            task::transition::set_adjust(batch, t.id, &adjust.to_text());
        }
    }
    if t.state != TaskState::Ready {
        task::transition::guard(batch, t, now_us);
        return Ok(t.clone());
    }
    let after = TaskRow { state, started_us: t.started_us.or(Some(now_us)), reason: None, ..t.clone() };
    ops.move_task(batch, t, &after, Actor::Engine, now_us, None).await?;
    Ok(TaskRow { rev: t.rev + 1, ..after })
}

/// Jobs by batch.
fn parts(shared: &Shared<'_>, jobs: &[Job], each: usize) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let (mut from, mut rows) = (0, 0);
    for (n, job) in jobs.iter().enumerate() {
        let files = &shared.turn.files[job.rows.clone()];
        // Rows that follow one another are one statement for many jobs; count one where they do not.
        let gaps = files.windows(2).filter(|w| w[1].seq != w[0].seq + 1).count();
        let retries = files.iter().filter(|f| f.prev_job.is_some()).count();
        let secondary: usize = job.picks.iter().map(|p| p.len().min(2)).sum();
        let events = if shared.turn.refined.plan.events.is_some() { files.len() + 1 } else { 0 };
        let own = each + gaps + retries + secondary + events;
        // Those that share files are written with the one in charge.
        if rows + own > ROWS && n > from && job.shares.is_none() {
            out.push(from..n);
            (from, rows) = (n, 0);
        }
        rows += own;
    }
    out.push(from..jobs.len());
    out
}

/// An output as it is named.
fn to_name<'o>(o: &'o Output, middle: &str, serial: i64) -> Named<'o> {
    Named { serial: o.offset + serial, template: &o.template, shaped: names::with_middle(&o.template, middle).into() }
}

/// Outputs of these jobs, in order; none when nobody but the neutral rules names them.
pub fn outputs<'t>(turn: &Turn<'t>, jobs: &[Job]) -> Vec<Named<'t>> {
    if !turn.names.is_own() {
        return Vec::new();
    }
    let plan: &'t Plan = &turn.refined.plan;
    let fields = turn.fields();
    let pairs = pairs(&turn.datasets, plan);
    let first = pairs.first().map_or(1, |(d, _)| d.next_serial);
    let streams: Vec<&str> = pairs.iter().map(|(_, o)| o.stream.as_str()).collect();
    let mut all = Vec::new();
    for (job, serial) in jobs.iter().zip(first..) {
        let middle = turn.middle(&fields, turn.files[job.rows.clone()].first());
        let own = plan.outputs.iter().filter(|o| streams.contains(&o.stream.as_str()) && !o.template.starts_with("regex|"));
        all.extend(own.map(|o| to_name(o, &middle, serial)));
    }
    all
}

/// The task's output data sets with their plan; the pre-merge ones when outputs are merged.
fn pairs<'a>(datasets: &'a [TaskDataset], plan: &'a Plan) -> Vec<(&'a TaskDataset, &'a Output)> {
    let mut out = Vec::new();
    for o in &plan.outputs {
        let role = match (o.is_log, plan.merge.is_some()) {
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

/// What gives jobs their numbers.
fn numbering(plan: &Plan) -> Numbering {
    let only_files = plan.limits.bytes.is_none() && plan.limits.events.is_none();
    Numbering {
        pseudo: plan.pseudo.is_some(),
        files: plan.limits.files.filter(|_| only_files).and_then(|n| i64::try_from(n).ok()),
        events: match plan.cut {
            Cut::Every(n) if plan.split.granularity.is_none() && !plan.split.respect_lumiblock && plan.limits.bytes.is_none() => Some(n),
            _ => None,
        },
    }
}

impl Shared<'_> {
    /// Libraries and common documents of every place.
    async fn prepare(&mut self, batch: &mut Batch, jobs: &[Job]) -> Result<(), EngineError> {
        let turn = self.turn;
        for (n, place) in turn.places.iter().enumerate() {
            let same = turn.places[..n].iter().position(|p| p.queue.id == place.queue.id);
            let library = match (same, &turn.refined.plan.build) {
                (Some(at), _) => self.libraries[at].clone(),
                (None, Some(b)) => Some(build::library(turn.ops, batch, &turn.setting(place), b).await?),
                (None, None) => None,
            };
            self.libraries.push(library);
        }
        // One document for the jobs of a kind at a place.
        for at in 0..jobs.len() {
            let key = (jobs[at].place, turn.kind(&jobs[at]));
            if self.commons.contains_key(&key) {
                continue;
            }
            let id = turn.ops.store.id(IdKind::Row).await?;
            let made = self.make(jobs, at, &mut std::iter::repeat(0))?;
            let plan = &turn.refined.plan;
            let merge = plan.events.as_ref().and_then(|e| e.merge.as_ref()).filter(|_| key.1 == JobKind::EsMerge);
            let common = turn.setting(&turn.places[key.0]).common(&made.row, merge.map_or(&plan.runner, |m| &m.runner));
            job::transition::add_common(batch, id, Some(turn.t.id), &common);
            self.commons.insert(key, id);
        }
        Ok(())
    }
    /// Adds these jobs, and gives them their rows.
    async fn add(&self, batch: &mut Batch, jobs: &[Job], part: std::ops::Range<usize>) -> Result<(), EngineError> {
        let turn = self.turn;
        let n = part.len();
        let mut rows = turn.ops.store.ids(IdKind::Row, n * self.outputs.len()).await?.into_iter();
        let (mut takers, mut used, mut events_used) = (Vec::with_capacity(n), 0, 0);
        for at in part.clone() {
            let made = self.make(jobs, at, &mut rows)?;
            let common = self.commons.get(&(jobs[at].place, made.row.kind)).copied().unwrap_or_default();
            job::transition::add(batch, &made.row, common, &made.doc, Actor::Engine)?;
            for f in &made.files {
                job::file::add(batch, f);
            }
            let files = &turn.files[jobs[at].rows.clone()];
            self.share(batch, jobs, at);
            if jobs[at].shares.is_some() || jobs[at].jumbo {
                continue;
            }
            if let Some(how) = &turn.refined.plan.events {
                events::cut(batch, how, made.row.kind, files);
            }
            let mut previous: Vec<JobId> = files.iter().filter_map(|f| f.prev_job).collect();
            previous.sort_unstable();
            previous.dedup();
            for old in previous {
                job::transition::add_retry(batch, self.ids[at], old, job::transition::RETRY);
            }
            used += i64::try_from(files.len()).unwrap_or(0);
            events_used += files.iter().filter_map(|f| f.n_events).sum::<i64>();
            takers.push(Taker { job: self.ids[at].0, seqs: files.iter().map(|f| f.seq).collect() });
        }
        for run in take::runs(&takers) {
            task::file::take(batch, self.master.id, &run);
        }
        for (i, set) in turn.sets.iter().enumerate() {
            let own = part.clone().filter(|at| jobs[*at].shares.is_none() && !jobs[*at].jumbo);
            let picks: Vec<(JobId, &[usize])> = own.map(|at| (self.ids[at], jobs[at].picks[i].as_slice())).collect();
            set.take(batch, &picks);
        }
        // Rows that every batch of the task writes come last, so that batches at the same time wait for one another only while they commit.
        for (d, o) in &self.outputs {
            let files = part.clone().filter(|at| events::makes(turn.kind(&jobs[*at]), o)).count();
            if files > 0 {
                task::dataset::count(batch, d.id, Delta { files: i64::try_from(files).unwrap_or(0), ..Delta::default() });
            }
        }
        task::dataset::count(batch, self.master.id, Delta { used, events_used, ..Delta::default() });
        Ok(())
    }
    fn wake(&self, batch: &mut Batch, jobs: &[Job]) {
        for (n, place) in self.turn.places.iter().enumerate() {
            if jobs.iter().any(|j| j.place == n) {
                batch.wake(Topic::Ready(place.queue.id));
            }
        }
    }
    /// The load that the next decisions see.
    fn note(&self, jobs: &[Job]) {
        let (turn, t) = (self.turn, self.turn.t);
        for (n, place) in turn.places.iter().enumerate() {
            let made = i64::try_from(jobs.iter().filter(|j| j.place == n).count()).unwrap_or(0);
            if made > 0 {
                let waits = self.libraries[n].as_ref().is_some_and(|l| l.wait_for.is_some());
                let state = if waits { JobState::Defined } else { JobState::Activated };
                let cores = made * turn.refined.plan.cores;
                let all = statistics::Made { lane: place.lane, person: t.person_id, vo: &t.vo, label: &t.label, state, n: made, cores };
                statistics::generated(turn.ops, &all);
            }
        }
    }
    /// One job with all that belongs to it.
    fn make(&self, jobs: &[Job], at: usize, rows: &mut impl Iterator<Item = i64>) -> Result<Made, EngineError> {
        let (turn, job) = (self.turn, &jobs[at]);
        let (plan, id) = (&turn.refined.plan, self.ids[at]);
        let place = &turn.places[job.place];
        let kind = turn.kind(job);
        let setting = turn.setting(place);
        let serial = self.serial + i64::try_from(at).unwrap_or(0);
        let taken = &turn.files[job.rows.clone()];
        let middle = turn.middle(&self.fields, taken.first());
        let merging = plan.merge.is_some();
        let (mut files, mut named, mut finals, mut renamed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (seq, (d, o)) in self.outputs.iter().enumerate().filter(|(_, (_, o))| events::makes(kind, o)) {
            let final_name = if o.template.starts_with("regex|") {
                finals.push(o.template.clone());
                o.template.clone()
            } else {
                let (neutral, own) = turn.names.output(turn.t, id, &to_name(o, &middle, serial))?;
                if own != neutral {
                    renamed.push((neutral.clone(), own.clone()));
                }
                finals.push(neutral);
                own
            };
            let lfn = if merging { names::pre_merge(&final_name) } else { final_name.clone() };
            named.push((o.stream.as_str(), lfn.clone()));
            let row = rows.next().unwrap_or_default();
            files.push(output_row(row, id, &setting, Some(d.id), d.role, i64::try_from(seq).unwrap_or(0), lfn, o.optional));
        }
        if let (JobKind::EsMerge, Some(merge)) = (kind, plan.events.as_ref().and_then(|e| e.merge.as_ref())) {
            return self.make_merge(merge, jobs, at, files);
        }
        let mut reads = self.reads(taken);
        for (set, picks) in turn.sets.iter().zip(&job.picks) {
            reads.extend(set.reads(picks));
        }
        let library = self.libraries[job.place].as_ref();
        let offset = self.outputs.first().map_or(0, |(_, o)| o.offset);
        let first = taken.first();
        let number = first.map_or(serial, |f| sequence::number(&self.numbering, f.seq, f.file_no, f.event_no, serial));
        let node = first.and_then(|f| Some((f.lfn.as_str(), turn.args.get(&f.seq)?.as_str())));
        let job_values =
            JobValues { serial: serial + offset, number, middle: &middle, node, library: library.map(|l| l.reads.lfn.as_str()) };
        let v = values(&setting, taken, &reads, &named, &job_values);
        let job_pars = command_line(&setting, &plan.template, &v, id, if merging { &finals } else { &[] })?;
        let job_pars = naming::renamed(job_pars, renamed);
        // Addresses given by the user are read by the payload itself.
        if !plan.pfns.is_empty() {
            reads.clear();
        }
        reads.extend(library.map(|l| l.reads.clone()));
        let mut row = setting.row(id, kind, place.lane, setting.priority(kind, i64::try_from(at).unwrap_or(0)));
        if let Some((node, _)) = node {
            // What people know a node by.
            row.name = Some(format!("{}.{node}", turn.t.name).chars().take(MAX_NAME).collect());
        }
        if let Some(wait) = library.and_then(|l| l.wait_for) {
            row.state = JobState::Defined;
            row.wait_job = Some(wait);
        }
        let doc = setting.own(&row, &job_pars, &reads, &files);
        Ok(Made { row, doc, files })
    }
    fn reads(&self, taken: &[TaskFile]) -> Vec<Reads> {
        let plan = &self.turn.refined.plan;
        if plan.pseudo.is_some() {
            return Vec::new();
        }
        let stream = plan.inputs.iter().find(|i| i.master).map_or("IN", |i| i.stream.as_str());
        // The rows of a file that is cut are one file to read.
        let mut reads: Vec<Reads> = Vec::with_capacity(taken.len());
        for f in taken {
            if reads.last().is_none_or(|r| r.lfn != f.lfn) {
                reads.push(reads_of(f, stream, &self.master.name));
            }
        }
        reads
    }
}

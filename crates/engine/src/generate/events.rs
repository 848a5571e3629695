//! Rows of tasks whose jobs share events: which kind of job takes a row, which rows stay together, what a merge of ranges reads
//! (`spec/engine.md` sections 3.7 and 6.3).

use std::collections::{BTreeMap, HashMap};

use panda_core::{
    id::JobId,
    job::record::JobKind,
    policy::{
        events::{Fate, Slice, Tally, fate},
        names,
        params::{self, PreMerged},
        text::{self, Values},
    },
};
use panda_ops::{
    Ops, event,
    task::plan::{Events, Merge, Mode, Output, Plan},
};
use panda_store::{
    Batch,
    query::{
        job,
        task::{
            events::{self, EventFile},
            file::TaskFile,
        },
    },
};

use super::{
    job::{Reads, Setting},
    place::Places,
    turn::{Job, Turn},
};
use crate::EngineError;

/// Most files that a merge of ranges reads: what a pilot stages in, and what a job's document holds.
pub const MAX_OUTPUTS: usize = 5_000;
/// Files that a jumbo job is told when it is made; of the others it hears with their ranges.
const JUMBO_READS: usize = 200;
/// Draws of queues for each job of a set, until as many are found as it is to be spread over.
const DRAWS: i64 = 8;

/// Which kind of job takes a row. Rows of different phases never share a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// An ordinary one.
    Ordinary,
    /// One that takes ranges.
    Ranges,
    /// One that merges what is stored for the ranges.
    Merge,
}

/// Phase of a row, and the job that had it last: rows of one such job stay together, since what it stored may hold events of several. 0: none had it.
pub type Stand = (Phase, i64);

/// How the rows of a turn stand, by id; none for those that no job would help now. An error is why jobs cannot be made.
pub async fn stands(ops: &Ops, how: &Events, files: &[TaskFile]) -> Result<Result<HashMap<i64, Option<Stand>>, String>, EngineError> {
    let ids: Vec<i64> = files.iter().map(|f| f.id).collect();
    let found = event::tallies(ops, &ids).await?;
    let mut units: BTreeMap<i64, Vec<(i64, Tally)>> = BTreeMap::new();
    let mut all = HashMap::with_capacity(files.len());
    for f in files {
        if let Some((_, tally)) = found.get(&f.id) {
            let last = f.job_id.or(f.prev_job).map_or(0, |j| j.0);
            units.entry(last).or_default().push((f.id, *tally));
            continue;
        }
        let Some(n) = f.n_events else {
            return Ok(Err(format!(
                "nobody knows how many events {} has, so jobs cannot take them in ranges; give `nEventsPerFile`, or register the events",
                f.lfn
            )));
        };
        let phase = if n < how.ordinary_below { Phase::Ordinary } else { Phase::Ranges };
        all.insert(f.id, Some((phase, 0)));
    }
    for (last, rows) in units {
        let tallies: Vec<Tally> = rows.iter().map(|r| r.1).collect();
        let free = tallies.iter().map(Tally::free).sum::<i64>();
        let stand = match fate(&tallies, how.merge.is_some()) {
            Fate::Merge => Some((Phase::Merge, last)),
            // Others (jumbo jobs) hold what is left.
            Fate::Left if free == 0 => None,
            Fate::Left | Fate::Done | Fate::Lost => Some((Phase::Ranges, last)),
        };
        all.extend(rows.into_iter().map(|(id, _)| (id, stand)));
    }
    Ok(Ok(all))
}

/// The kind of job that takes rows of a phase.
#[must_use]
pub fn kind(plan: &Plan, phase: Option<Phase>) -> JobKind {
    match (plan.events.as_ref().map(|e| e.mode), phase) {
        (None, _) | (Some(Mode::Service), None | Some(Phase::Ordinary)) => JobKind::Run,
        (Some(Mode::Service), Some(Phase::Ranges)) => JobKind::Consumer,
        (Some(Mode::Service), Some(Phase::Merge)) => JobKind::EsMerge,
        (Some(Mode::Clones { .. }), _) => JobKind::Clone,
        (Some(Mode::Fine), _) => JobKind::Fine,
    }
}

/// Whether jobs of a kind make an output: what consumers store for ranges is merged into it later.
#[must_use]
pub const fn makes(kind: JobKind, o: &Output) -> bool {
    o.is_log || !matches!(kind, JobKind::Consumer | JobKind::Jumbo)
}

/// Adds how the events of these rows, which a job of a kind takes, are cut; rows that are cut already stay so.
pub fn cut(batch: &mut Batch, how: &Events, kind: JobKind, files: &[TaskFile]) {
    let add = |batch: &mut Batch, f: &TaskFile, slice: Slice, max_attempt: i64| {
        events::add_file(batch, &EventFile { file_id: f.id, task_id: f.task_id, slice, n_cut: 0, max_attempt });
    };
    match kind {
        JobKind::Consumer | JobKind::Fine => {
            for f in files.iter().filter(|f| f.n_events.is_some()) {
                let slice = Slice { first: f.first_event.unwrap_or(0), events: f.n_events.unwrap_or(0), each: how.each };
                add(batch, f, slice, how.attempts);
            }
        }
        // One range: who has it counts.
        JobKind::Clone => {
            if let Some(f) = files.first() {
                add(batch, f, Slice { first: 0, events: 1, each: 1 }, i64::MAX);
            }
        }
        _ => {}
    }
}

/// A word of the merge of ranges: what goes into each output (`writeToFile`, `spec/api_v1.md` section 10.1).
#[must_use]
pub fn input_for(reads: &[Reads], outputs: &[&str]) -> String {
    let names: Vec<&str> = reads.iter().filter(|r| !r.is_library).map(|r| r.lfn.as_str()).collect();
    let names = names.join(",");
    outputs.iter().map(|o| format!("inputFor_{o}:{names}")).collect::<Vec<_>>().join("^")
}

/// The command line of a merge of ranges: all that was stored goes into each output.
pub fn merge_line(s: &Setting<'_>, merge: &Merge, id: JobId, reads: &[Reads], outputs: &[&str]) -> Result<String, EngineError> {
    let inputs: Vec<PreMerged> =
        reads.iter().filter(|r| !r.is_library).map(|r| PreMerged { lfn: r.lfn.clone(), bytes: r.fsize.unwrap_or(0) }).collect();
    let streams: Vec<String> = outputs.iter().filter_map(|o| params::merge_word(&inputs, o)).collect();
    let mut words = Values::default();
    words.words.insert("SURL".into(), s.source_url());
    words.words.insert("TRN_OUTPUT:OUTPUT".into(), streams.join(" "));
    words.words.insert("TRN_LOG:LOG".into(), String::new());
    words.words.insert("TRN_LOG_MERGE:LOG_MERGE".into(), String::new());
    if let Some(library) = reads.iter().find(|r| r.is_library) {
        words.words.insert("LIB".into(), library.lfn.clone());
    }
    let text = text::fill(&merge.text, &words).map_err(|e| EngineError::Internal(format!("merge of task {}: {e}", s.task.id)))?;
    Ok(names::lfn(&text, s.task.id.0, id.0, 0))
}

impl Turn<'_> {
    /// The phase of a row; none for a task whose jobs take no ranges.
    pub fn phase(&self, f: &TaskFile) -> Option<Phase> {
        self.stands.get(&f.id).map(|s| s.0)
    }
    /// The kind of a job.
    pub fn kind(&self, job: &Job) -> JobKind {
        if job.jumbo {
            return JobKind::Jumbo;
        }
        kind(&self.refined.plan, self.files.get(job.rows.start).and_then(|f| self.phase(f)))
    }
    /// The jobs with those that share their files behind each, at other queues as far as there are some.
    pub(super) async fn shared(&mut self, places: &mut Places, jobs: Vec<Job>) -> Result<Vec<Job>, EngineError> {
        let Some((sharing, sites)) = self.refined.plan.events.as_ref().map(|e| (e.sharing, e.sites)).filter(|e| e.0 > 1) else {
            return Ok(jobs);
        };
        let mut all = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (first, place, rows, picks) = (all.len(), job.place, job.rows.clone(), job.picks.clone());
            let shares = matches!(self.kind(&job), JobKind::Consumer | JobKind::Clone);
            all.push(job);
            if !shares {
                continue;
            }
            let mut at = vec![place];
            for _ in 0..sites * DRAWS {
                if at.len() as i64 >= sites {
                    break;
                }
                let ram = self.memory_of(&rows);
                if let Some(drawn) = places.draw(self, ram).await?
                    && at.iter().all(|p| self.places[*p].queue.id != self.places[drawn].queue.id)
                {
                    at.push(drawn);
                }
            }
            for n in 1..usize::try_from(sharing).unwrap_or(1) {
                all.push(Job { place: at[n % at.len()], rows: rows.clone(), picks: picks.clone(), shares: Some(first), jumbo: false });
            }
        }
        Ok(all)
    }
    /// Adds jobs that take ranges of all files of the task, until it has as many as it wants (NJ), not too many at a queue (MJ). They come with
    /// consumers, so that none is made for a task that has nothing left.
    pub(super) async fn jumbo(&mut self, places: &mut Places, jobs: &mut Vec<Job>) -> Result<(), EngineError> {
        let Some((most, at_a_queue)) = self.refined.plan.events.as_ref().map(|e| (e.jumbo, e.jumbo_at_a_queue)).filter(|e| e.0 > 0) else {
            return Ok(());
        };
        let mut consumers = jobs.iter().filter(|j| self.kind(j) == JobKind::Consumer).map(|j| j.rows.clone());
        let Some(first) = consumers.next() else { return Ok(()) };
        let reads = first.start..consumers.fold(first.end, |end, r| end.max(r.end)).min(first.start + JUMBO_READS);
        let live = job::list::live_of_kind(&self.ops.store, self.t.id, JobKind::Jumbo).await?;
        let mut at: Vec<_> = live.iter().filter_map(|j| j.queue_id).collect();
        let ram = self.memory_of(&reads);
        for _ in live.len() as i64..most {
            for _ in 0..DRAWS {
                let Some(place) = places.draw(self, ram).await? else { return Ok(()) };
                let queue = self.places[place].queue.id;
                if at_a_queue.is_none_or(|most| (at.iter().filter(|q| **q == queue).count() as i64) < most) {
                    at.push(queue);
                    jobs.push(Job { place, rows: reads.clone(), picks: vec![Vec::new(); self.sets.len()], shares: None, jumbo: true });
                    break;
                }
            }
        }
        Ok(())
    }
    /// What the merges among these jobs read, by their first row; an error is why one cannot be.
    pub(super) async fn stored(&self, jobs: &[Job]) -> Result<Result<HashMap<i64, Vec<Reads>>, String>, EngineError> {
        let mut all = HashMap::new();
        for job in jobs.iter().filter(|j| self.kind(j) == JobKind::EsMerge) {
            let files = &self.files[job.rows.clone()];
            let ids: Vec<i64> = files.iter().map(|f| f.id).collect();
            let mut found = Vec::new();
            for ids in ids.chunks(panda_store::MAX_IN_LIST) {
                found.extend(events::outputs(&self.ops.store, ids, MAX_OUTPUTS as i64 + 1).await?);
            }
            found.sort();
            found.dedup();
            if found.len() > MAX_OUTPUTS {
                return Ok(Err(format!(
                    "more than {MAX_OUTPUTS} files were stored for the events of {}; let pilots put ranges together, or use a larger `nEventsPerWorker`",
                    files[0].lfn
                )));
            }
            let dataset = self.datasets.iter().find(|d| d.role == panda_core::file::FileRole::Output).map_or("", |d| d.name.as_str());
            let reads = |(lfn, store): (String, Option<i64>)| Reads {
                scope: names::scope(&lfn),
                lfn,
                dataset: dataset.to_owned(),
                local: store.is_none(),
                store,
                ..Reads::default()
            };
            all.insert(files[0].id, found.into_iter().map(reads).collect());
        }
        Ok(Ok(all))
    }
}

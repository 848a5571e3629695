//! The simulated world and its clock.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use panda_access::Principal;
use panda_core::{
    id::TaskId,
    task::state::TaskState,
    time::{Clock, Micros},
};
use panda_ops::{Ops, OpsError, Options, pilot::update};
use panda_store::{Store, query::archive};
use rand_distr::{Distribution as _, Exp};
use rand_pcg::Pcg64Mcg;

use crate::{
    Progress, SimError, check,
    drive::Loops,
    fate,
    faults::Fault,
    furnish::furnish,
    outcome::Counts,
    scenario::{Kind, Scenario},
    share::Shares,
    shelf::Shelf,
    site::{self, Held, Phase, Site},
    submit,
};

/// Where the virtual clock starts: 2026-01-02 03:04:05 UTC.
pub(crate) const BEGIN_US: i64 = 1_767_323_045_000_000;
/// Reports that are sent to the server together.
const REPORTS_AT_ONCE: usize = 400;
/// Most sentences about what does not hold.
const MAX_VIOLATIONS: usize = 50;

/// The virtual clock.
#[derive(Debug)]
struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

/// What is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happens {
    /// A stream's next task.
    Stream(usize),
    /// A recorded task.
    Recorded(usize),
    /// A pilot does something about its job.
    Job(u32),
    /// A paused task goes on.
    Resume(i64),
    /// Something goes wrong.
    Fault(Fault),
}

/// A submitted task.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub id: i64,
    pub kind: usize,
    pub at_us: i64,
    pub first_us: Option<i64>,
}

/// Everything.
pub(crate) struct World {
    pub scenario: Arc<Scenario>,
    pub ops: Arc<Ops>,
    pub pilot: Principal,
    pub shelf: Arc<Shelf>,
    pub root: PathBuf,
    pub rng: Pcg64Mcg,
    pub sites: Vec<Site>,
    pub jobs: Vec<Option<Held>>,
    pub freed: Vec<u32>,
    pub kinds: Vec<Kind>,
    /// Which of them is the work of canary jobs.
    pub canary: usize,
    pub tasks: Vec<Submitted>,
    pub by_id: BTreeMap<i64, u32>,
    pub stored: BTreeMap<String, u32>,
    /// Event ranges that were done: the job for which they were cut, file, number; the attempt.
    pub ranges_done: BTreeMap<(i64, i64, i64), i64>,
    pub counts: Counts,
    clock: Arc<Hand>,
    options: Options,
    heap: BinaryHeap<Reverse<(i64, u64, Happens)>>,
    happened: u64,
    pub loops: Loops,
    pub shares: Shares,
    pub fingerprint: u64,
    ticks: u64,
    pub violations: Vec<String>,
}

impl World {
    pub async fn new(scenario: Arc<Scenario>, store: Store, folder: PathBuf) -> Result<Self, SimError> {
        let clock = Arc::new(Hand(AtomicI64::new(BEGIN_US)));
        let mut options = Options::new("http://127.0.0.1:25080", folder);
        options.vos = scenario.work.iter().map(|w| w.kind.vo.clone()).chain(scenario.tasks.iter().map(|t| t.kind.vo.clone())).collect();
        options.vos.sort();
        options.vos.dedup();
        options.max_active_tasks = i64::MAX;
        let shelf = Arc::new(Shelf::default());
        let ops = Arc::new(operations(store, &clock, &options, &shelf));
        ops.blobs.create().map_err(|e| SimError::File("the data folder".into(), e))?;
        let sites = furnish(&ops, &scenario).await?;
        let from_us = BEGIN_US + hours(scenario.measure_from_hour);
        let mut kinds: Vec<_> = scenario.work.iter().map(|w| w.kind.clone()).chain(scenario.tasks.iter().map(|t| t.kind.clone())).collect();
        let canary = kinds.len();
        kinds.push(Kind { minutes: 1.0, ..Kind::default() });
        let mut world = Self {
            pilot: site::pilot(),
            root: options.data_dir.join("storage"),
            rng: fate::chance(scenario.seed, 0, 0),
            sites,
            jobs: Vec::new(),
            freed: Vec::new(),
            kinds,
            canary,
            tasks: Vec::new(),
            by_id: BTreeMap::new(),
            stored: BTreeMap::new(),
            ranges_done: BTreeMap::new(),
            counts: Counts::default(),
            heap: BinaryHeap::new(),
            happened: 0,
            loops: Loops::new(ops.store.wake(), BEGIN_US),
            shares: Shares::new(&scenario.shares, from_us),
            fingerprint: 0,
            ticks: 0,
            violations: Vec::new(),
            scenario: scenario.clone(),
            ops,
            shelf,
            clock,
            options,
        };
        for (n, w) in scenario.work.iter().enumerate() {
            for _ in 0..w.at_once.max(1) {
                world.happen(BEGIN_US + hours(w.from_hour), Happens::Stream(n));
            }
        }
        for (n, t) in scenario.tasks.iter().enumerate() {
            world.happen(BEGIN_US + hours(t.at_s / 3_600.0), Happens::Recorded(n));
        }
        Fault::ALL.into_iter().for_each(|f| world.plan(f));
        Ok(world)
    }

    pub fn now_us(&self) -> i64 {
        self.clock.now().0
    }
    /// Seconds since the beginning.
    pub fn since_s(&self) -> i64 {
        (self.now_us() - BEGIN_US) / 1_000_000
    }
    /// When nothing new comes any more.
    pub fn end_us(&self) -> i64 {
        BEGIN_US + hours(self.scenario.hours)
    }
    /// Whether only what is there goes on.
    pub fn draining(&self) -> bool {
        self.now_us() >= self.end_us()
    }
    pub fn happen(&mut self, at_us: i64, what: Happens) {
        self.happened += 1;
        self.heap.push(Reverse((at_us, self.happened, what)));
    }
    pub fn hold(&mut self, held: Held) -> u32 {
        if let Some(key) = self.freed.pop() {
            self.jobs[key as usize] = Some(held);
            return key;
        }
        self.jobs.push(Some(held));
        u32::try_from(self.jobs.len() - 1).unwrap_or(u32::MAX)
    }
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(format!("{} s: {what}", self.since_s()));
        }
    }
    /// Adds to the fingerprint (FNV-1a over the numbers).
    pub fn trace(&mut self, numbers: &[i64]) {
        let now = self.since_s();
        for n in numbers.iter().chain([&now]) {
            for byte in n.to_le_bytes() {
                self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    /// The server starts anew: what it remembered is gone.
    pub fn restart(&mut self) {
        self.ops = Arc::new(operations(self.ops.store.clone(), &self.clock, &self.options, &self.shelf));
    }
    pub fn progress(&self) -> Progress {
        let running = self.sites.iter().map(|s| u64::from(s.busy)).sum();
        let end_s = (self.end_us() - BEGIN_US) / 1_000_000;
        Progress { now_s: self.since_s(), end_s, dispatched: self.counts.dispatched, running, ended: self.counts.ended }
    }

    /// One tick; false when the simulation is over.
    pub async fn step(&mut self) -> Result<bool, SimError> {
        self.due().await?;
        let now = Micros(self.now_us());
        self.loops.run(&self.ops, now).await?;
        self.ask().await?;
        self.shares.look(&self.ops, now.0).await?;
        self.ticks += 1;
        if self.scenario.check_every > 0 && self.ticks.is_multiple_of(self.scenario.check_every) {
            self.check_now().await?;
        }
        if self.draining() && self.over().await? {
            return Ok(false);
        }
        let tick = now.0 + self.scenario.tick_s * 1_000_000;
        // With nothing to do the clock goes on to what comes next.
        let idle = now.0 + self.scenario.idle_tick_s.max(self.scenario.tick_s) * 1_000_000;
        let next = self.heap.peek().map_or(idle, |Reverse((at, ..))| *at).clamp(tick, idle);
        let next = if self.loops.woken() { tick } else { next };
        self.clock.0.store(next, Ordering::Relaxed);
        Ok(true)
    }

    async fn over(&mut self) -> Result<bool, SimError> {
        if self.scenario.drain_hours <= 0.0 || self.now_us() >= self.end_us() + hours(self.scenario.drain_hours) {
            return Ok(true);
        }
        if self.jobs.iter().any(Option::is_some) {
            return Ok(false);
        }
        for t in &self.tasks {
            let row = archive::task::find(&self.ops.store, TaskId(t.id)).await?;
            if row.is_some_and(|r| !r.state.is_final() && r.state != TaskState::Exhausted) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is due happens; what pilots report of it goes to the server together.
    async fn due(&mut self) -> Result<(), SimError> {
        let now = self.now_us();
        let (mut reports, mut keys) = (Vec::new(), Vec::new());
        while let Some(Reverse((at, _, what))) = self.heap.peek().copied() {
            if at > now {
                break;
            }
            self.heap.pop();
            match what {
                Happens::Stream(n) => self.stream(n, at).await?,
                Happens::Recorded(n) => self.submit(self.scenario.work.len() + n).await?,
                Happens::Resume(id) => self.resume(id).await?,
                Happens::Fault(fault) => self.strike(fault).await?,
                Happens::Job(key) => {
                    self.take_ranges(key).await?;
                    let repeats = self.jobs.get(key as usize).and_then(Option::as_ref).is_some_and(|h| h.fate.repeats);
                    if let Some(report) = self.act(key) {
                        if report.state.is_final() && repeats {
                            keys.push(key);
                            reports.push(report.clone());
                        }
                        keys.push(key);
                        reports.push(report);
                    }
                }
            }
            if reports.len() >= REPORTS_AT_ONCE {
                self.report(&mut reports, &mut keys).await;
            }
        }
        self.report(&mut reports, &mut keys).await;
        Ok(())
    }

    /// Sends reports and does what the answers say.
    async fn report(&mut self, reports: &mut Vec<update::Update>, keys: &mut Vec<u32>) {
        self.counts.reports += reports.len() as u64;
        let answers = update::many(&self.ops, reports).await;
        let now = self.now_us();
        for ((answer, report), key) in answers.into_iter().zip(reports.drain(..)).zip(keys.drain(..)) {
            let command = match answer {
                Ok(command) => command,
                Err(e) => {
                    self.violation(format!("a report about job {} is refused: {e}", report.job_id));
                    continue;
                }
            };
            if command.as_str().contains("tobekilled")
                && let Some(held) = self.jobs.get_mut(key as usize).and_then(Option::as_mut)
                && held.id == report.job_id.0
                && held.phase == Phase::Running
            {
                held.phase = Phase::Stopped;
                held.end_us = now;
                self.happen(now, Happens::Job(key));
            }
        }
    }

    /// A task of a stream that came at `at_us`, and the time of its next one: of a busy stream several come in a tick.
    async fn stream(&mut self, n: usize, at_us: i64) -> Result<(), SimError> {
        let scenario = self.scenario.clone();
        let w = &scenario.work[n];
        let until = w.until_hour.map_or_else(|| self.end_us(), |h| BEGIN_US + hours(h)).min(self.end_us());
        self.submit(n).await?;
        if let Ok(gaps) = Exp::new(1.0 / w.every_s) {
            #[expect(clippy::cast_possible_truncation, reason = "a time within the simulation, saturating")]
            let at = at_us.saturating_add((gaps.sample(&mut self.rng) * 1e6 * f64::from(w.at_once.max(1))) as i64);
            if at < until {
                self.happen(at, Happens::Stream(n));
            }
        }
        Ok(())
    }

    async fn submit(&mut self, kind: usize) -> Result<(), SimError> {
        let n = self.tasks.len() + usize::try_from(self.counts.refused).unwrap_or(0);
        match submit::submit(&self.ops, &self.kinds[kind], self.scenario.seed, n).await {
            Ok(id) => {
                self.by_id.insert(id, u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
                self.tasks.push(Submitted { id, kind, at_us: self.now_us(), first_us: None });
                self.counts.tasks += 1;
                self.trace(&[0, id, kind as i64]);
                Ok(())
            }
            Err(e @ OpsError::Refused { .. }) => {
                tracing::warn!("a task is refused: {e}");
                self.counts.refused += 1;
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) async fn check_now(&mut self) -> Result<(), SimError> {
        let wrong = check::now(&self.ops, self.tasks.iter().map(|t| t.id)).await?;
        wrong.into_iter().for_each(|w| self.violation(w));
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "hours of a simulation, bounded with the scenario")]
fn hours(n: f64) -> i64 {
    (n * 3.6e9) as i64
}

fn operations(store: Store, clock: &Arc<Hand>, options: &Options, shelf: &Arc<Shelf>) -> Ops {
    let mut ops = Ops::new(store, clock.clone(), options.clone());
    ops.disk = shelf.clone();
    ops
}

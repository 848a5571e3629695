//! Real dispatches over a long time: what each share and each VO gets of the slots.

use std::{cmp::Reverse, collections::BinaryHeap};

use panda_core::{
    id::{JobId, LaneId, QueueId},
    job::{report::Reported, state::JobState},
    machine::Actor,
};
use panda_store::{Batch, IdKind, query::job};
use serde_json::{Map, Value, json};

use super::change::set;
use crate::{
    pilot::{
        acquire::{Ask, acquire},
        update::{Update, update},
    },
    queue::LaneOf,
    statistics,
    testing::{World, alice, operator, site_pilot},
};

/// Jobs that are added by one batch.
const BATCH: usize = 500;
/// Seconds between two counts (upstream and the engine: 10).
const COUNT_S: i64 = 10;
/// What a share may be off its target (the issue), and what a small number of jobs cannot show: a share's jobs come whole.
const WITHIN: f64 = 0.02;
const WHOLE_JOBS: f64 = 2.0;

/// A queue whose slots ask again when their jobs have ended.
struct Site {
    w: World,
    queue: QueueId,
    slots: usize,
    ends: BinaryHeap<Reverse<(i64, i64)>>,
    now_s: i64,
    counted_s: i64,
}

/// Who waits: VO and share, how long each job runs, and how many there are.
#[derive(Clone, Copy)]
struct Demand {
    vo: &'static str,
    share: &'static str,
    seconds: i64,
    jobs: usize,
}

impl Site {
    async fn new(slots: usize) -> Self {
        let w = World::new().await;
        let queue = w.queue("LOCAL").await;
        Self { w, queue, slots, ends: BinaryHeap::new(), now_s: 0, counted_s: 0 }
    }
    async fn share(&self, name: &str, values: Value) {
        set(&self.w.ops, &operator(), name, values.as_object().unwrap()).await.unwrap();
    }
    async fn lane(&self, vo: &str, share: &str) -> LaneId {
        let of = LaneOf { queue: self.queue, vo, label: "user", share, resource_type: "SCORE", ram_mb: 0 };
        self.w.ops.lane(&of).await.unwrap()
    }
    /// Activates jobs.
    async fn add(&self, d: Demand) -> Vec<JobId> {
        let lane = self.lane(d.vo, d.share).await;
        let pattern = self.w.job(&alice(), None, self.queue, JobState::Failed).await;
        let pattern = self.w.job_row(pattern).await;
        let mut ids = Vec::with_capacity(d.jobs);
        while ids.len() < d.jobs {
            let mut batch = Batch::new();
            for _ in 0..BATCH.min(d.jobs - ids.len()) {
                let mut row = pattern.clone();
                row.id = JobId(self.w.ops.store.id(IdKind::Job).await.unwrap());
                (row.state, row.lane_id, row.vo, row.ended_us, row.rev) = (JobState::Activated, Some(lane), d.vo.into(), None, 0);
                job::transition::add(&mut batch, &row, 0, "\"jobPars\":\"x\"", Actor::Engine).unwrap();
                ids.push(row.id);
            }
            self.w.ops.store.apply(batch).await.unwrap();
        }
        ids
    }
    /// The next job for a slot, when one is free.
    async fn next(&mut self) -> Option<JobId> {
        if self.ends.len() == self.slots
            && let Some(Reverse((at, id))) = self.ends.pop()
        {
            self.w.pass(at - self.now_s);
            self.now_s = at;
            let done = Update {
                job_id: JobId(id),
                state: Reported::Finished,
                attempt: None,
                node: None,
                batch_id: None,
                sub_state: None,
                report: None,
                meta: None,
                errors: Map::new(),
                metrics: Map::new(),
                vo: None,
            };
            update(&self.w.ops, &done).await.unwrap();
        }
        if self.now_s - self.counted_s >= COUNT_S {
            self.counted_s = self.now_s;
            statistics::publish(&self.w.ops).await.unwrap();
        }
        let ask = Ask { queue: "LOCAL".into(), label: Some("user".into()), n: 1, ..Ask::default() };
        let answers = acquire(&self.w.ops, &site_pilot(), &ask).await.unwrap();
        let job: Value = serde_json::from_str(answers.first()?).unwrap();
        job["PandaID"].as_i64().map(JobId)
    }
    fn runs(&mut self, id: JobId, seconds: i64) {
        self.ends.push(Reverse((self.now_s + seconds, id.0)));
    }
}

/// What came of a run, by demand.
#[derive(Default, Debug, Clone)]
struct Got {
    jobs: f64,
    /// Seconds that its jobs have run.
    seconds: f64,
    /// Longest row of dispatches to others.
    waited: u64,
    waiting: u64,
}

async fn run(site: &mut Site, demands: &[Demand], dispatches: usize) -> Vec<Got> {
    let mut of = std::collections::HashMap::new();
    for (n, d) in demands.iter().enumerate() {
        of.extend(site.add(*d).await.into_iter().map(|id| (id, n)));
    }
    statistics::publish(&site.w.ops).await.unwrap();
    let mut got = vec![Got::default(); demands.len()];
    for n in 0..dispatches {
        let id = site.next().await.expect("every share has jobs");
        let whose = of[&id];
        // Slots that start together would end together: the first jobs have different lengths, as if the site had run before.
        let seconds = demands[whose].seconds;
        let first = i64::try_from(n + 1).unwrap() * seconds / i64::try_from(site.slots).unwrap();
        let seconds = if n < site.slots { first.max(1) } else { seconds };
        site.runs(id, seconds);
        for (i, g) in got.iter_mut().enumerate() {
            if i == whose {
                (g.jobs, g.waiting) = (g.jobs + 1.0, 0);
                g.seconds += whole(seconds);
            } else {
                g.waiting += 1;
                g.waited = g.waited.max(g.waiting);
            }
        }
    }
    for Reverse((at, id)) in &site.ends {
        if let Some(n) = of.get(&JobId(*id)) {
            got[*n].seconds -= whole(at - site.now_s);
        }
    }
    got
}

fn whole(seconds: i64) -> f64 {
    f64::from(u32::try_from(seconds).unwrap())
}

/// Four levels, the smallest leaf has 4 %.
async fn tree(site: &Site) -> [(&'static str, f64); 6] {
    site.share("Production", json!({"value": 60})).await;
    site.share("Simulation", json!({"value": 75, "parent": "Production"})).await;
    site.share("Fast", json!({"value": 60, "parent": "Simulation"})).await;
    site.share("Full", json!({"value": 40, "parent": "Simulation"})).await;
    site.share("Reprocessing", json!({"value": 25, "parent": "Production"})).await;
    site.share("Users", json!({"value": 30})).await;
    site.share("Groups", json!({"value": 6})).await;
    [("Fast", 0.27), ("Full", 0.18), ("Reprocessing", 0.15), ("Users", 0.30), ("Groups", 0.06), ("Undefined", 0.04)]
}

/// Dispatches of a run.
const RUN: usize = 2_500;

/// The issue, engine.md 9.2: with demand in every share each gets its target, in jobs when they are as long as each other; none waits longer than its bound.
#[tokio::test]
async fn each_share_gets_its_part_of_real_dispatches() {
    let mut site = Site::new(50).await;
    let targets = tree(&site).await;
    let demands: Vec<Demand> =
        targets.iter().map(|(share, part)| Demand { vo: "amber", share, seconds: 600, jobs: jobs_for(*part, RUN) }).collect();
    let got = run(&mut site, &demands, RUN).await;
    for ((share, target), g) in targets.iter().zip(&got) {
        let due = target * real(RUN);
        assert!((g.jobs - due).abs() <= WITHIN * due + WHOLE_JOBS, "{share}: {} jobs, due {due}", g.jobs);
        assert!(real(usize::try_from(g.waited).unwrap()) <= 100.0 / target, "{share} waited for {} dispatches", g.waited);
    }
}

/// The same when a share's jobs are longer than another's: what is shared is time.
#[tokio::test]
async fn real_dispatches_share_time() {
    let mut site = Site::new(50).await;
    let targets = tree(&site).await;
    let seconds = [300, 900, 1_800, 600, 1_200, 450];
    // Jobs of each: its part of the time over their length.
    let weight: f64 = targets.iter().zip(seconds).map(|((_, t), s)| t / f64::from(s)).sum();
    let demands: Vec<Demand> = targets
        .iter()
        .zip(seconds)
        .map(|((share, t), s)| Demand { vo: "amber", share, seconds: i64::from(s), jobs: jobs_for(t / f64::from(s) / weight, RUN) })
        .collect();
    let got = run(&mut site, &demands, RUN).await;
    let all: f64 = got.iter().map(|g| g.seconds).sum();
    for (((share, target), s), g) in targets.iter().zip(seconds).zip(&got) {
        let due = target * all;
        assert!((g.seconds - due).abs() <= WITHIN * due + WHOLE_JOBS * f64::from(s), "{share}: {} s, due {due}", g.seconds);
        assert!(real(usize::try_from(g.waited).unwrap()) <= 100.0 / target, "{share} waited for {} dispatches", g.waited);
    }
}

/// The issue: whatever waits and runs of one VO, the first job of another is the next one, also when both are in one share of several.
#[tokio::test]
async fn a_backlog_delays_another_vos_first_job_by_no_dispatch() {
    let mut site = Site::new(20).await;
    let large = Demand { vo: "amber", share: "Undefined", seconds: 600, jobs: 2_000 };
    run(&mut site, &[large], 1_000).await;
    let first = site.add(Demand { vo: "flint", jobs: 1, ..large }).await[0];
    assert_eq!(site.next().await, Some(first));
    site.runs(first, 600);

    site.share("Users", json!({"value": 30})).await;
    let users = Demand { vo: "amber", share: "Users", seconds: 600, jobs: 500 };
    let mut mine = site.add(users).await;
    for _ in 0..5 {
        next_of(&mut site, &mine).await;
    }
    let later = site.add(Demand { vo: "quartz", jobs: 1, ..users }).await[0];
    mine.push(later);
    assert_eq!(next_of(&mut site, &mine).await, later, "the next one that the share gets");
}

/// Goes on until one of these is handed out.
async fn next_of(site: &mut Site, mine: &[JobId]) -> JobId {
    loop {
        let id = site.next().await.unwrap();
        site.runs(id, 600);
        if mine.contains(&id) {
            return id;
        }
    }
}

fn real(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

/// Jobs that a part of so many dispatches needs, and some more, so that it never runs dry.
fn jobs_for(part: f64, dispatches: usize) -> usize {
    (0..).find(|n| real(*n) >= 1.2 * part * real(dispatches) + 20.0).unwrap()
}

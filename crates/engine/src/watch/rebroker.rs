//! Jobs that wait where they need not (`spec/engine.md` sections 13.1 and 20.3): the oldest of a congested queue, and analysis jobs at a queue where
//! nothing of their task gets on. They are taken away when another queue can take them; the next choice avoids the one that they left.

use std::collections::{BTreeMap, HashMap, HashSet};

use panda_core::{
    id::{JobId, LaneId, QueueId, TaskId},
    job::{
        kill::reason::{FAST_REBROKERAGE, TASK_REASSIGNED},
        record::JobKind,
        state::JobState,
        timers::span,
    },
    policy::{
        broker::Criterion,
        label,
        rebroker::{self, Counts, Limits, Stay, WAITING},
    },
    setting::{Values, broker::MOVED_S, rebroker as settings},
    time::Micros,
};
use panda_ops::{
    Ops,
    broker::{Ask, Broker, locality, needs},
};
use panda_store::{
    Batch,
    query::{
        decision,
        job::{self, JobRow, waiting},
        snapshot,
        task::{self, TaskRow, moved},
    },
};
use serde_json::json;

use super::{jobs, queues::Queues};
use crate::{EngineError, Report, plan};

/// How often, seconds; upstream looks every 40 minutes.
const EVERY_S: i64 = 600;
/// Remembers when that was.
const NAME: &str = "watch:rebroker";
/// Stage of the record of a task whose jobs were taken away.
pub const STAGE: &str = "rebroker";
/// Rows of one page.
const PAGE: i64 = 500;
/// Jobs taken away by one step; the rest follows in the next.
const JOBS_A_STEP: usize = 2_000;

/// Jobs of one share at one queue for one VO and label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    queue: QueueId,
    share: String,
    vo: String,
    label: String,
}

/// One step, once in a while.
pub async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    if snapshot::at(&ops.store, NAME).await?.is_some_and(|at| now.0 - at < EVERY_S * 1_000_000) {
        return Ok(Report::default());
    }
    let settings = ops.settings().await?;
    let mut look = Look {
        ops,
        settings: &settings,
        now,
        broker: Broker::new(ops).await?,
        queues: Queues::default(),
        others: HashMap::new(),
        taken: 0,
    };
    look.congested().await?;
    look.idle().await?;
    let taken = look.taken;
    if taken >= JOBS_A_STEP {
        return Ok(Report { done: taken, more: true });
    }
    let mut batch = Batch::new();
    snapshot::set(&mut batch, NAME, now.0, "{}");
    ops.store.apply(batch).await?;
    Ok(Report { done: taken, more: false })
}

struct Look<'a> {
    ops: &'a Ops,
    settings: &'a Values,
    now: Micros,
    broker: Broker,
    queues: Queues,
    /// Tasks whose jobs could go elsewhere from a queue, as far as they were asked.
    others: HashMap<(TaskId, QueueId), Option<TaskRow>>,
    taken: usize,
}

impl Look<'_> {
    fn limits(&self, vo: &str, label: &str) -> Limits {
        Limits::read(self.settings, vo, label)
    }

    /// Congested queues give the oldest of their waiting jobs away.
    async fn congested(&mut self) -> Result<(), EngineError> {
        if !self.settings.iter().any(|(key, _)| key.0 == settings::FAST_QUEUED.name) {
            return Ok(());
        }
        let (at, lanes) = self.counts().await?;
        let mut shares: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
        for (g, c) in &at {
            *shares.entry((&g.share, &g.vo, &g.label)).or_default() += c.queued;
        }
        for (g, c) in &at {
            let of_share = shares.get(&(g.share.as_str(), g.vo.as_str(), g.label.as_str())).copied().unwrap_or(0);
            let excess = rebroker::excess(*c, of_share, &self.limits(&g.vo, &g.label));
            if excess > 0 {
                self.give(g, *c, excess, lanes.get(g).map_or(&[][..], Vec::as_slice)).await?;
            }
        }
        Ok(())
    }

    /// Waiting and running jobs, with the lanes that they are in.
    async fn counts(&self) -> Result<(BTreeMap<Group, Counts>, BTreeMap<Group, Vec<LaneId>>), EngineError> {
        let (mut at, mut lanes): (BTreeMap<Group, Counts>, BTreeMap<Group, Vec<LaneId>>) = Default::default();
        let queues = self.ops.queues().await?;
        for line in job::count::live(&self.ops.store).await? {
            let Some(lane) = line.lane.and_then(|id| queues.lane(id)) else { continue };
            let group = Group { queue: lane.queue_id, share: lane.share.clone(), vo: line.vo, label: line.label };
            let known = lanes.entry(group.clone()).or_default();
            if !known.contains(&lane.id) {
                known.push(lane.id);
            }
            let counts = at.entry(group).or_default();
            counts.queued += if WAITING.contains(&line.state) { line.n } else { 0 };
            counts.running += if line.state == JobState::Running { line.n } else { 0 };
        }
        Ok((at, lanes))
    }

    /// Takes so many of a group's jobs away, the oldest first, of those that can go elsewhere.
    async fn give(&mut self, g: &Group, c: Counts, excess: i64, lanes: &[LaneId]) -> Result<(), EngineError> {
        let (mut left, mut after) = (usize::try_from(excess).unwrap_or(usize::MAX), JobId(0));
        let name = self.name(g.queue).await?;
        while left > 0 && self.taken < JOBS_A_STEP {
            let page = waiting::of_lanes(&self.ops.store, lanes, &g.label, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let mut some = self.movable(page, g.queue).await?;
            some.truncate(left.min(JOBS_A_STEP - self.taken));
            left -= some.len();
            let text = format!(
                "queue {name} has {} jobs of share {} waiting and {} running: the oldest choose another (setting {})",
                c.queued,
                g.share,
                c.running,
                settings::FAST_QUEUED.name
            );
            self.take(some, g.queue, FAST_REBROKERAGE, &text).await?;
        }
        Ok(())
    }

    /// Analysis jobs that wait for long at a queue where nothing of their task gets on. Only lanes that hold such jobs are read.
    async fn idle(&mut self) -> Result<(), EngineError> {
        let queues = self.ops.queues().await?;
        let mut lanes: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for lane in queues.lanes.values().flatten() {
            if label::class(self.settings, &lane.vo, &lane.label) == label::ANALYSIS
                && let Some(queue) = self.queues.facts(self.ops, lane.queue_id).await?.state
                && let Some(limit_s) = self.limits(&lane.vo, &lane.label).limit(queue)
            {
                lanes.entry(limit_s).or_default().push(lane.id.0);
            }
        }
        for (limit_s, mut lanes) in lanes {
            lanes.sort_unstable();
            let before = self.now.0.saturating_sub(limit_s.saturating_mul(1_000_000));
            for some in lanes.chunks(panda_store::MAX_IN_LIST) {
                for state in WAITING {
                    self.idle_in(*state, some, before).await?;
                }
            }
        }
        Ok(())
    }

    async fn idle_in(&mut self, state: JobState, lanes: &[i64], before: i64) -> Result<(), EngineError> {
        let mut after = JobId(0);
        while self.taken < JOBS_A_STEP {
            let page = waiting::since(&self.ops.store, state, lanes, after, before, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let mut stuck: BTreeMap<(QueueId, TaskId, i64), Vec<JobRow>> = BTreeMap::new();
            for j in page {
                if let (Some(queue), Some(task), Some(limit_s)) = (j.queue_id, j.task_id, self.overdue(&j).await?) {
                    stuck.entry((queue, task, limit_s)).or_default().push(j);
                }
            }
            for ((queue, task, limit_s), jobs) in stuck {
                self.leave(queue, task, limit_s, jobs).await?;
            }
        }
        Ok(())
    }

    async fn overdue(&mut self, j: &JobRow) -> Result<Option<i64>, EngineError> {
        let Some(queue) = j.queue_id.filter(|_| label::class(self.settings, &j.vo, &j.label) == label::ANALYSIS) else { return Ok(None) };
        let Some(state) = self.queues.facts(self.ops, queue).await?.state else { return Ok(None) };
        Ok(self.limits(&j.vo, &j.label).overdue(&Stay { since: Micros(j.state_us), queue: state }, self.now))
    }

    /// Takes the jobs of a task away from a queue unless it gets on there.
    async fn leave(&mut self, queue: QueueId, task: TaskId, limit_s: i64, jobs: Vec<JobRow>) -> Result<(), EngineError> {
        let Some(first) = jobs.first() else { return Ok(()) };
        let limits = self.limits(&first.vo, &first.label);
        if waiting::progressed(&self.ops.store, task, queue, rebroker::PROGRESS, limits.progress_since(self.now).0).await? {
            return Ok(());
        }
        let name = self.name(queue).await?;
        let text = format!(
            "waited at queue {name} for more than {}, where no job of its task has got on for {}: it chooses another (setting {})",
            span(limit_s),
            span(limits.progress_s),
            if limit_s == limits.closed_s { settings::CLOSED_S.name } else { settings::IDLE_S.name }
        );
        let mut some = self.movable(jobs, queue).await?;
        some.truncate(JOBS_A_STEP.saturating_sub(self.taken));
        self.take(some, queue, TASK_REASSIGNED, &text).await
    }

    async fn name(&self, queue: QueueId) -> Result<String, EngineError> {
        Ok(self.ops.queues().await?.by_id.get(&queue).map_or_else(|| queue.to_string(), |q| q.name.clone()))
    }

    /// Those of the jobs at a queue that may leave it, that another queue can take, and whose inputs have an attempt left after this one: being taken
    /// away spends one (3.6), and must not be what a task fails for.
    async fn movable(&mut self, jobs: Vec<JobRow>, queue: QueueId) -> Result<Vec<JobRow>, EngineError> {
        let mut out = Vec::new();
        if self.queues.facts(self.ops, queue).await?.keeps {
            return Ok(out);
        }
        for j in jobs.into_iter().filter(|j| j.kind == JobKind::Run) {
            let Some(task) = j.task_id else { continue };
            if !self.others.contains_key(&(task, queue)) {
                let found = self.elsewhere(task, queue).await?;
                self.others.insert((task, queue), found);
            }
            if self.others.get(&(task, queue)).is_some_and(Option::is_some) {
                out.push(j);
            }
        }
        let ids: Vec<JobId> = out.iter().map(|j| j.id).collect();
        let files = if ids.is_empty() { Vec::new() } else { task::file::of_jobs(&self.ops.store, &ids).await? };
        let last: HashSet<JobId> = files.iter().filter(|f| f.attempt + 1 >= f.max_attempt).filter_map(|f| f.job_id).collect();
        out.retain(|j| !last.contains(&j.id));
        Ok(out)
    }

    /// The task, when its jobs may be sent elsewhere and a queue that they were not taken away from can have them.
    async fn elsewhere(&self, task: TaskId, queue: QueueId) -> Result<Option<TaskRow>, EngineError> {
        let Some(t) = task::list::get(&self.ops.store, task).await?.filter(|t| t.state.is_generating()) else { return Ok(None) };
        let refined = plan::of(self.ops, &t).await?;
        if refined.plan.behaviour.no_reassign {
            return Ok(None);
        }
        let mut wants = self.broker.complete(needs::of(&t, &refined.plan, &*self.ops.resource_types().await?, 0));
        let span = self.settings.int(&MOVED_S, &t.vo, &t.label).saturating_mul(1_000_000);
        wants.moved = moved::list(&self.ops.store, t.id, self.now.0 - span).await?.into_iter().map(|(q, reason, _)| (q, reason)).collect();
        wants.moved.insert(queue, String::new());
        let input = locality::of(self.ops, &t.vo, &needs::inputs(&refined.plan)).await?;
        let decision = self.broker.decide(&Ask { input: input.as_ref(), ..Ask::new(&wants) });
        Ok((decision.passed > 0 && !decision.waived.contains(&Criterion::Moved)).then_some(t))
    }

    /// Notes the queue as left, with the reason, and then ends the jobs: a crash between the two leaves a queue that is avoided for a while.
    async fn take(&mut self, some: Vec<JobRow>, queue: QueueId, code: i64, text: &str) -> Result<(), EngineError> {
        if some.is_empty() {
            return Ok(());
        }
        let mut tasks: BTreeMap<TaskId, usize> = BTreeMap::new();
        for task in some.iter().filter_map(|j| j.task_id) {
            *tasks.entry(task).or_default() += 1;
        }
        let mut batch = Batch::new();
        for (task, n) in &tasks {
            moved::set(&mut batch, *task, queue, text, self.now.0);
            let doc = json!({"reason": format!("{n} jobs were taken away: {text}"), "queue": queue.0, "code": code, "jobs": n});
            decision::set(&mut batch, task.0, STAGE, self.now.0, &doc.to_string());
        }
        self.ops.store.apply(batch).await?;
        let group: Vec<(&JobRow, String)> = some.iter().map(|j| (j, text.to_owned())).collect();
        self.taken += jobs::kill(self.ops, code, &group).await?;
        Ok(())
    }
}

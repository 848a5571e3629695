//! Priorities of users' jobs by what they have (`spec/engine.md` sections 3.4 and 20.1): of new jobs, and of those that wait when that changes.

use std::sync::Arc;

use panda_core::{
    id::JobId,
    job::state::JobState,
    policy::{
        label,
        priority::{self, PriorityView},
    },
    setting::dispatch::{BOOSTS, JUMP_OVER, REDUCED},
    task::state::TaskState,
    time::Micros,
};
use panda_store::{
    Batch,
    query::{job, person::Person, task},
};
use serde::Deserialize;

use crate::{Ops, OpsError, clock, limit::groups, statistics};

/// How often the priorities of what waits are looked at, microseconds.
const EVERY_US: i64 = 60_000_000;
/// People looked at in one step; the next step goes on behind them.
const PEOPLE: usize = 200;
/// Tasks of a person looked at, the most urgent and oldest first.
const TASKS: usize = 50;
/// Jobs of a task looked at, the oldest first: those behind them have their turn when these have gone.
const JOBS: i64 = 100;
/// Jobs of one batch.
const JOBS_A_BATCH: usize = 400;

/// What decides the priorities of somebody's jobs, besides the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Extra for named users and groups.
    pub offset: i64,
    /// Jobs that the user has, running or not.
    pub live: i64,
    /// Of these, with pilots.
    pub running: i64,
    /// What the user or the working group uses, the larger, in thousandths of what the VO uses.
    pub weight_milli: i64,
    /// Whether that counts.
    pub reduced: bool,
    /// Priority from which on jobs keep theirs.
    pub jump_over: i64,
}

impl Standing {
    /// The view of a job: the how manieth new one it is, from 0.
    #[must_use]
    pub fn view<'a>(&self, label: &'a str, processing_type: &'a str, assigned: i64, n: i64) -> PriorityView<'a> {
        PriorityView {
            label,
            processing_type,
            assigned,
            offset: self.offset,
            serial: self.live + n,
            weight_milli: self.weight_milli,
            no_reduction: !self.reduced,
            jump_over: Some(self.jump_over),
            ..PriorityView::default()
        }
    }
}

/// Extra priority of a user or a working group.
#[derive(Debug, Deserialize)]
pub(crate) struct Boost {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    prio: i64,
    /// Last day, `YYYY-MM-DD`; None = for ever.
    expire: Option<String>,
}

/// Reads a list of extra priorities.
pub(crate) fn read(text: &str) -> Result<Vec<Boost>, String> {
    let boosts: Vec<Boost> = serde_json::from_str(text).map_err(|e| format!("no JSON list of name, type, prio and expire: {e}"))?;
    match boosts.iter().find(|b| !matches!(b.kind.as_str(), "user" | "group")) {
        Some(b) => Err(format!("type `{}`; `user` or `group` is expected", b.kind)),
        None => Ok(boosts),
    }
}

/// The extra priority that a setting gives at this moment.
fn offset(text: &str, user: &str, group: &str, now: Micros) -> i64 {
    if text.is_empty() {
        return 0;
    }
    let boosts = read(text).unwrap_or_else(|e| {
        tracing::error!("setting {}: {e}; nobody has extra priority", BOOSTS.name);
        Vec::new()
    });
    let now = clock::text(now.0);
    let today = now.get(..10).unwrap_or_default();
    let holds = |b: &&Boost| {
        let named = match b.kind.as_str() {
            "user" => b.name == user,
            "group" => !group.is_empty() && b.name == group,
            _ => false,
        };
        // Days in this form are ordered like their texts.
        named && b.expire.as_deref().is_none_or(|last| today <= last)
    };
    boosts.iter().filter(holds).map(|b| b.prio).sum()
}

/// How somebody stands in a VO, for jobs of this label and working group (empty = none).
pub async fn standing(ops: &Ops, who: &Person, vo: &str, label: &str, group: &str) -> Result<Standing, OpsError> {
    let settings = ops.settings().await?;
    let load = statistics::load(ops).await?;
    let own = load.person(who.id);
    let all = load.vo(vo).running_cores();
    let group_cores =
        if group.is_empty() { 0 } else { groups(ops).await?.get(&(vo.to_owned(), group.to_owned())).map_or(0, |has| has.running_cores) };
    let weight_milli = priority::weight_milli(own.running_cores().max(group_cores), all);
    Ok(Standing {
        offset: offset(settings.text(&BOOSTS, vo, label), &who.name, group, ops.now()),
        live: own.live(),
        running: own.running(),
        weight_milli,
        reduced: settings.flag(&REDUCED, vo, label),
        jump_over: settings.int(&JUMP_OVER, vo, label),
    })
}

/// Renews priorities of waiting jobs of people whose usage has changed; the answer is how many jobs got another one. Bounded; at most once a minute
/// unless people are left over.
pub async fn step(ops: &Ops) -> Result<usize, OpsError> {
    let now = ops.now().0;
    let after = {
        let mut held = ops.live.renewed.lock();
        if held.1.is_none() && (0..EVERY_US).contains(&(now - held.0)) && held.0 != 0 {
            return Ok(0);
        }
        if held.1.is_none() {
            held.0 = now;
        }
        held.1.take().unwrap_or(i64::MIN)
    };
    let load = statistics::load(ops).await?;
    let waiting: Vec<i64> = load.people().filter(|(id, c)| *id > after && c.activated() > 0).map(|(id, _)| id).take(PEOPLE).collect();
    let mut n = 0;
    for id in &waiting {
        n += of_person(ops, &ops.person_by_id(*id).await?).await?;
    }
    if waiting.len() == PEOPLE {
        ops.live.renewed.lock().1 = waiting.last().copied();
    }
    Ok(n)
}

async fn of_person(ops: &Ops, who: &Arc<Person>) -> Result<usize, OpsError> {
    let settings = ops.settings().await?;
    let mut tasks = task::list::of_person(&ops.store, who.id, 0, 1_000).await?;
    // What waits of a scouting task are its scouts, whose priority is their own.
    tasks.retain(|t| !t.state.is_final() && !matches!(t.state, TaskState::Paused | TaskState::Scouting));
    tasks.retain(|t| label::class(&settings, &t.vo, &t.label) == label::ANALYSIS && t.priority < settings.int(&JUMP_OVER, &t.vo, &t.label));
    tasks.sort_by_key(|t| (-t.priority, t.id));
    tasks.truncate(TASKS);
    let Some(first) = tasks.first() else { return Ok(0) };
    let standing = standing(ops, who, &first.vo, &first.label, first.working_group.as_deref().unwrap_or_default()).await?;
    let mut jobs = Vec::new();
    for t in &tasks {
        let page = job::list::placed(&ops.store, t.id, JobState::Activated, JobId(0), JOBS).await?;
        jobs.extend(page.into_iter().map(|j| (j, t.priority)));
    }
    jobs.sort_by_key(|(j, _)| (-j.priority, j.id));
    let view = PriorityView { serial: standing.running, ..standing.view("user", "", priority::USER, 0) };
    let old: Vec<(i64, i64)> = jobs.iter().map(|(j, assigned)| (j.priority, *assigned)).collect();
    let changes = priority::renewed(&view, &old);
    for part in changes.chunks(JOBS_A_BATCH) {
        let mut batch = Batch::new();
        for (at, new) in part {
            job::transition::set_priority(&mut batch, jobs[*at].0.id, jobs[*at].0.priority, *new, ops.now().0);
        }
        ops.store.apply(batch).await?;
    }
    Ok(changes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        setting,
        testing::{START_US, World, alice, bob, operator},
    };

    /// engine.md 20.1: USER_JOB_PRIO_BOOST_DICTS.
    #[test]
    fn boosts_are_for_named_people_and_groups_and_end() {
        let text = r#"[{"name": "alice", "type": "user", "prio": 100, "expire": "2026-01-02"},
            {"name": "higgs", "type": "group", "prio": 7}, {"name": "alice", "type": "group", "prio": 1000}]"#;
        let now = Micros(START_US);
        assert_eq!(offset(text, "alice", "higgs", now), 107);
        assert_eq!(offset(text, "alice", "", now + Micros::from_days(1)), 0);
        assert_eq!(offset(text, "bob", "higgs", now), 7);
        assert_eq!((offset("nonsense", "alice", "", now), offset("", "alice", "", now)), (0, 0));
    }

    /// Who uses everything gets lower, who comes new gets ahead, and what waits follows.
    #[tokio::test]
    async fn waiting_jobs_follow_what_runs() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let (a, b) = (w.task(&alice(), TaskState::Running, "{}").await, w.task(&bob(), TaskState::Running, "{}").await);
        for _ in 0..4 {
            w.job(&alice(), Some(a), q, JobState::Running).await;
        }
        let mine = w.job(&alice(), Some(a), q, JobState::Activated).await;
        let yours = w.job(&bob(), Some(b), q, JobState::Activated).await;
        assert_eq!(step(&w.ops).await.unwrap(), 1);
        assert_eq!((w.job_row(mine).await.neg_priority, w.job_row(yours).await.neg_priority), (-900, -1_000));
        assert_eq!(step(&w.ops).await.unwrap(), 0, "once a minute");
        setting::set(&w.ops, &operator(), BOOSTS.name, "", "", r#"[{"name": "bob", "type": "user", "prio": 50}]"#).await.unwrap();
        w.pass(61);
        assert_eq!(step(&w.ops).await.unwrap(), 1);
        assert_eq!(w.job_row(yours).await.neg_priority, -1_050);
        let person = w.ops.person(&bob()).await.unwrap();
        let s = standing(&w.ops, &person, "amber", "user", "").await.unwrap();
        assert_eq!((s.offset, s.live, s.running, s.weight_milli), (50, 1, 0, 0));
    }
}

//! Tasks that are on hold, and what most of them wait for: grouped by what held them and by the sentence that says why.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use panda_access::{Principal, Right, table};
use panda_core::{id::TaskId, task::state::TaskState};
use panda_store::query::{
    MAX_PAGE, decision,
    task::{TaskRow, page},
};

use crate::{Ops, OpsError, live::Kept};

/// States of tasks that wait for something or somebody.
pub const STATES: [TaskState; 4] = [TaskState::Pending, TaskState::Paused, TaskState::Throttled, TaskState::Exhausted];
/// How old the answer may be, microseconds.
const AGE_US: i64 = 10_000_000;
/// Pages of [`MAX_PAGE`] tasks that are looked at, the newest first; behind them counts are lower bounds.
const MAX_PAGES: usize = 10;
/// Tasks named for each group.
const EXAMPLES: usize = 3;

/// A task on hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHold {
    /// Number.
    pub id: TaskId,
    /// State.
    pub state: TaskState,
    /// What held it: the stage of its latest decision record when it is pending, else its state.
    pub stage: String,
    /// One sentence.
    pub reason: String,
    /// Microseconds UTC.
    pub since_us: i64,
}

/// Tasks on hold at one moment, the newest first.
#[derive(Debug, Default)]
pub struct Held {
    /// The tasks.
    pub tasks: Vec<OnHold>,
    /// Whether there are more, which were not looked at.
    pub more: bool,
}

/// Tasks that one thing holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// See [`OnHold`].
    pub stage: &'a str,
    /// State of the newest of them.
    pub state: TaskState,
    /// The sentence of the newest of them.
    pub reason: &'a str,
    /// How many.
    pub n: usize,
    /// Since when the one that waits longest does, microseconds UTC.
    pub oldest_us: i64,
    /// The newest of them.
    pub examples: Vec<TaskId>,
}

/// A sentence without what differs between tasks that wait for the same: each number is a `#`.
#[must_use]
pub fn pattern(reason: &str) -> String {
    let mut out = String::with_capacity(reason.len());
    for c in reason.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

impl Held {
    /// What holds most comes first.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut by: BTreeMap<(&str, String), Group<'_>> = BTreeMap::new();
        for t in &self.tasks {
            let first = || Group { stage: &t.stage, state: t.state, reason: &t.reason, n: 0, oldest_us: t.since_us, examples: Vec::new() };
            let g = by.entry((&t.stage, pattern(&t.reason))).or_insert_with(first);
            g.n += 1;
            g.oldest_us = g.oldest_us.min(t.since_us);
            if g.examples.len() < EXAMPLES {
                g.examples.push(t.id);
            }
        }
        let mut all: Vec<Group<'_>> = by.into_values().collect();
        all.sort_by_key(|g| (Reverse(g.n), g.stage, g.reason));
        all
    }
}

/// Tasks on hold, the newest [`MAX_PAGES`] thousand of them, at most ten seconds old.
pub async fn tasks(ops: &Ops, who: &Principal) -> Result<Arc<Held>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    ops.live.of::<Kept<Held>>().get(ops.now().0, AGE_US, read(ops)).await
}

async fn read(ops: &Ops) -> Result<Held, OpsError> {
    let mut held = Held::default();
    let mut filter = page::Filter { states: STATES.to_vec(), people: None, since_us: 0, before: TaskId(i64::MAX) };
    for _ in 0..MAX_PAGES {
        let rows = page::page(&ops.store, &filter, MAX_PAGE).await?;
        let Some(last) = rows.last() else { break };
        filter.before = last.id;
        let ids: Vec<i64> = rows.iter().map(|t| t.id.0).collect();
        let mut stages: HashMap<i64, (i64, String)> = HashMap::new();
        for (id, stage, at_us) in decision::stages(&ops.store, &ids).await? {
            let latest = stages.entry(id).or_insert_with(|| (at_us, stage.clone()));
            if at_us > latest.0 {
                *latest = (at_us, stage);
            }
        }
        held.more = rows.len() as i64 == MAX_PAGE;
        held.tasks.extend(rows.into_iter().map(|t| on_hold(&t, stages.remove(&t.id.0).map(|(_, stage)| stage))));
        if !held.more {
            break;
        }
    }
    Ok(held)
}

fn on_hold(t: &TaskRow, stage: Option<String>) -> OnHold {
    let usual = match t.state {
        TaskState::Paused => "it is paused until somebody resumes it",
        TaskState::Throttled => "its input files keep failing, so it rests",
        TaskState::Exhausted => "it stopped for a person to look at",
        _ => "no reason was recorded",
    };
    OnHold {
        id: t.id,
        state: t.state,
        stage: stage.filter(|_| t.state == TaskState::Pending).unwrap_or_else(|| t.state.as_str().to_owned()),
        reason: t.reason.clone().filter(|r| !r.is_empty()).unwrap_or_else(|| usual.to_owned()),
        since_us: t.state_us,
    }
}

#[cfg(test)]
mod tests {
    use panda_core::machine::Actor;

    use super::*;
    use crate::testing::{World, alice, bob};

    async fn reason(w: &World, id: TaskId, stage: Option<&str>, text: &str) {
        let mut batch = panda_store::Batch::new();
        if let Some(stage) = stage {
            decision::set(&mut batch, id.0, "input", 1, "{}");
            decision::set(&mut batch, id.0, stage, 2, "{}");
        }
        let t = w.task_row(id).await;
        let after = TaskRow { reason: Some(text.to_owned()), ..t.clone() };
        panda_store::query::task::transition::set(&mut batch, &t, &after, w.ops.now().0);
        w.ops.store.apply(batch).await.unwrap();
    }

    #[tokio::test]
    async fn tasks_that_wait_for_the_same_are_one_group() {
        let w = World::new().await;
        assert!(tasks(&w.ops, &bob()).await.unwrap().groups().is_empty());
        let mut ids = Vec::new();
        for n in 0..5 {
            let id = w.task(&alice(), TaskState::Pending, "{}").await;
            reason(&w, id, Some("cap"), &format!("user `alice` has {n} jobs")).await;
            ids.push(id);
        }
        let input = w.task(&alice(), TaskState::Pending, "{}").await;
        reason(&w, input, Some("broker"), "user `alice` has 7 jobs").await;
        let paused = w.task_row(w.task(&alice(), TaskState::Running, "{}").await).await;
        let mut batch = panda_store::Batch::new();
        let after = TaskRow { state: TaskState::Paused, prev_state: Some(paused.state), ..paused.clone() };
        panda_store::query::task::transition::move_to(&mut batch, &paused, &after, Actor::User, w.ops.now().0, None).unwrap();
        w.ops.store.apply(batch).await.unwrap();
        w.task(&alice(), TaskState::Running, "{}").await;
        w.pass(11);
        let held = tasks(&w.ops, &bob()).await.unwrap();
        let groups = held.groups();
        let seen: Vec<(&str, usize)> = groups.iter().map(|g| (g.stage, g.n)).collect();
        assert_eq!(
            seen,
            [("cap", 5), ("broker", 1), ("paused", 1)],
            "the latest record says what holds a task, its state when nothing else does"
        );
        assert_eq!((groups[0].reason, groups[0].examples[0]), ("user `alice` has 4 jobs", ids[4]), "the newest speaks for all");
        assert_eq!((groups[0].examples.len(), held.more), (EXAMPLES, false));
        assert!(groups[2].reason.contains("somebody resumes"));
        assert_eq!(pattern("12 of 3 in a4b: 0.5"), "# of # in a#b: #.#");
    }
}

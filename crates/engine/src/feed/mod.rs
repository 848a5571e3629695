//! Feeding: a task's data sets and the rows of its input files (`spec/engine.md` section 5.3).
//!
//! Files are listed a page at a time and each page is one batch that also writes how far the input is listed, so that memory is bounded and a crash
//! costs a page. The task gets jobs as soon as its first rows are there. What may grow is listed again when it changes, or once in a while.

mod begin;
mod dag;
mod define;
pub mod fresh;
mod input;
pub(crate) mod known;
mod listing;
mod parts;
mod reconcile;
mod source;

use std::sync::Arc;

use panda_core::{
    id::TaskId,
    machine::Actor,
    setting::{feed as settings, nucleus::CHOOSE, plugin::RETRY_S},
    task::state::TaskState,
    time::Micros,
};
use panda_ops::{Ops, task::plan::Plan};
use panda_store::{
    Batch, Topic,
    query::{
        archive,
        dataset::input as catalogue,
        decision,
        task::{
            self, TaskRow,
            dataset::{Delta, TaskDataset},
        },
    },
};
use serde_json::json;

pub(crate) use define::broken;
pub use input::forget;

use self::{define::Begun, listing::Rows};
use crate::{
    EngineError,
    data::fetch::{self, UnderWay},
    plan::{self, Refined},
};

/// Stage of the record of a task that waits for its input.
pub const INPUT_STAGE: &str = "input";
/// Stage of the record of a task that is held up until its input is complete (WH).
pub const HOLDUP_STAGE: &str = "holdup";
/// Stage of the record of a task that waits for its parent.
pub const PARENT_STAGE: &str = "parent";

/// States in which an input may be listed.
const LISTED_IN: &[TaskState] = &[
    TaskState::Defined,
    TaskState::Assigning,
    TaskState::Ready,
    TaskState::Scouting,
    TaskState::Scouted,
    TaskState::Running,
    TaskState::Merging,
    TaskState::Pending,
    TaskState::Paused,
    TaskState::Throttled,
    TaskState::Reassigning,
    TaskState::Toreassign,
];

/// What a call did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fed {
    /// Whether anything changed.
    pub changed: bool,
    /// Whether there is more to list at once.
    pub more: bool,
}

/// A task whose inputs are listed.
struct Feeding<'a> {
    ops: &'a Ops,
    refined: &'a Arc<Refined>,
    t: TaskRow,
    /// What it begins with, as long as that is not written.
    begun: Option<Begun>,
    now: Micros,
}

/// What became of one input.
enum Listed {
    /// It is listed; `empty` when it has no file and none will come.
    Whole { empty: bool },
    /// There is more.
    More,
    /// It cannot be listed yet: one sentence, and what is waited for.
    Wait(String),
    /// A plug-in that is needed does not answer, or has not yet: one sentence. It is asked again soon, or when it has answered.
    Asks(String, Vec<UnderWay>),
    /// It never can.
    Broken(String),
    /// The task has moved on to where nothing is listed.
    Gone,
}

impl Feeding<'_> {
    fn plan(&self) -> &Plan {
        &self.refined.plan
    }
    /// Whether it has not begun yet.
    fn waits(&self) -> bool {
        self.t.state == TaskState::Defined || (self.t.state == TaskState::Pending && self.t.prev_state == Some(TaskState::Defined))
    }
    /// Reads the task again after somebody else changed it; whether its inputs may still be listed.
    async fn reread(&mut self) -> Result<bool, EngineError> {
        match task::list::get(&self.ops.store, self.t.id).await? {
            Some(t) if LISTED_IN.contains(&t.state) => {
                self.t = t;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
    /// What is written next: it begins with what the task begins with.
    fn start(&mut self) -> Batch {
        self.begun.take().map_or_else(Batch::new, |b| b.batch(None))
    }
    /// Writes what the task begins with, if that is not done.
    async fn flush(&mut self) -> Result<(), EngineError> {
        let batch = self.start();
        if batch.is_empty() {
            return Ok(());
        }
        Ok(self.ops.store.apply(batch).await?)
    }
    /// Moves the task to where only its parameters help.
    async fn broken(&mut self, reason: &str) -> Result<(), EngineError> {
        self.flush().await?;
        broken(self.ops, &self.t, reason, self.now).await
    }
    async fn period_us(&self) -> Result<i64, EngineError> {
        Ok(self.ops.settings().await?.int(&settings::CHECK_S, &self.t.vo, &self.t.label).saturating_mul(1_000_000))
    }
    /// How soon a plug-in is asked again.
    async fn asks_us(&self) -> Result<i64, EngineError> {
        Ok(self.ops.settings().await?.int(&RETRY_S, &self.t.vo, &self.t.label).saturating_mul(1_000_000))
    }
}

/// Gives a new task, or one that is taken up again, its data sets, and lists what it can.
pub async fn refine(ops: &Ops, t: &TaskRow, now: Micros) -> Result<Fed, EngineError> {
    if t.state == TaskState::Defined {
        return feed(ops, t, None, now).await;
    }
    match define::define(ops, t, now).await? {
        Some((t, begun)) => feed(ops, &t, begun, now).await,
        None => Ok(Fed { changed: true, more: false }),
    }
}

/// Looks at the inputs of a task that are due.
pub async fn look(ops: &Ops, task: TaskId, now: Micros) -> Result<Fed, EngineError> {
    match task::list::get(&ops.store, task).await? {
        Some(t) if LISTED_IN.contains(&t.state) => feed(ops, &t, None, now).await,
        Some(t) if matches!(t.state, TaskState::Registered | TaskState::Rerefine) => Ok(Fed::default()),
        _ => {
            let mut batch = Batch::new();
            for d in task::dataset::of_task(&ops.store, task).await?.iter().filter(|d| d.look_us.is_some()) {
                task::dataset::look(&mut batch, d.id, None);
            }
            ops.store.apply(batch).await?;
            Ok(Fed { changed: true, more: false })
        }
    }
}

async fn feed(ops: &Ops, t: &TaskRow, begun: Option<Begun>, now: Micros) -> Result<Fed, EngineError> {
    let refined = plan::of(ops, t).await?;
    let all = match &begun {
        Some(begun) => begun.sets.clone(),
        None => task::dataset::of_task(&ops.store, t.id).await?,
    };
    let mut f = Feeding { ops, refined: &refined, t: t.clone(), begun, now };
    let fed = inputs(&mut f, &all).await?;
    f.flush().await?;
    Ok(fed)
}

/// Lists the inputs that are due, and moves the task on.
async fn inputs(f: &mut Feeding<'_>, all: &[TaskDataset]) -> Result<Fed, EngineError> {
    let now = f.now;
    if let Some(reason) = waits_for_parent(f).await? {
        return hold(f, all, PARENT_STAGE, &reason, f.period_us().await?).await;
    }
    if let Some(reason) = held_up(f, all).await? {
        return hold(f, all, HOLDUP_STAGE, &reason, f.period_us().await?).await;
    }
    // The master last: once it has rows, jobs are made, and these need the others.
    let mut inputs: Vec<&TaskDataset> = all.iter().filter(|d| d.role.is_input()).collect();
    inputs.sort_by_key(|d| (d.is_master, d.seq));
    let due = |d: &TaskDataset| d.state == "defined" || d.state == "feeding" || d.look_us.is_some_and(|at| at <= now.0);
    let mut fed = Fed::default();
    let mut empty = false;
    for d in inputs {
        if !due(d) {
            empty |= d.is_master && d.n_files == 0 && !d.is_open;
            continue;
        }
        match input::list(f, d).await? {
            Listed::Whole { empty: none } => {
                fed.changed = true;
                if none && d.is_master && !f.plan().feed.allow_empty && f.t.state == TaskState::Defined {
                    let reason = format!("no file of {} matches; check the data set and the filters", d.name);
                    f.broken(&reason).await?;
                    return Ok(fed);
                }
                empty |= none && d.is_master;
            }
            Listed::More => return Ok(Fed { changed: true, more: true }),
            Listed::Gone => return Ok(fed),
            Listed::Wait(reason) => return hold(f, all, INPUT_STAGE, &reason, f.period_us().await?).await,
            Listed::Asks(reason, under_way) => {
                let fed = hold(f, all, INPUT_STAGE, &reason, f.asks_us().await?).await?;
                fetch::ring_for(f.ops, &under_way).await;
                return Ok(fed);
            }
            Listed::Broken(reason) => {
                f.broken(&reason).await?;
                return Ok(Fed { changed: true, more: false });
            }
        }
    }
    if f.t.state == TaskState::Pending && f.t.prev_state == Some(TaskState::Defined) {
        back(f).await?;
    }
    if f.t.state == TaskState::Defined {
        ready(f, empty).await?;
        fed.changed = true;
    }
    Ok(fed)
}

/// The state of a task whose inputs are listed: one without a nucleus waits for it, when one is to be chosen (`spec/engine.md` 5.8).
async fn listed_state(f: &Feeding<'_>) -> Result<TaskState, EngineError> {
    let t = &f.t;
    let asks = f.plan().needs.asks_nucleus() || f.ops.settings().await?.flag(&CHOOSE, &t.vo, &t.label);
    Ok(if asks && t.nucleus.is_none() { TaskState::Assigning } else { TaskState::Ready })
}

/// Moves the task on when all its inputs are listed and none of its rows did.
async fn ready(f: &mut Feeding<'_>, empty: bool) -> Result<(), EngineError> {
    let mut batch = f.start();
    let now = f.now.0;
    let mut t = f.t.clone();
    let steps: &[TaskState] = if empty { &[TaskState::Finishing, TaskState::Passed] } else { &[listed_state(f).await?] };
    for state in steps {
        let after = TaskRow { state: *state, reason: None, prev_state: None, ..t.clone() };
        let why = (*state == TaskState::Finishing).then_some("its input is empty, which it allows");
        f.ops.move_task(&mut batch, &t, &after, Actor::Engine, now, why).await?;
        t = TaskRow { rev: t.rev + 1, ..after };
    }
    batch.wake(Topic::Files);
    // There may be nothing new to run: then it is at its end at once.
    batch.wake(Topic::Ended);
    f.ops.store.apply(batch).await?;
    f.t = t;
    Ok(())
}

/// What it waited for is there.
async fn back(f: &mut Feeding<'_>) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    decision::delete(&mut batch, f.t.id.0, INPUT_STAGE);
    let after = TaskRow { state: TaskState::Defined, prev_state: None, reason: None, ..f.t.clone() };
    f.ops.move_task(&mut batch, &f.t, &after, Actor::Engine, f.now.0, Some("its input is there")).await?;
    f.ops.store.apply(batch).await?;
    f.t = TaskRow { rev: f.t.rev + 1, ..after };
    Ok(())
}

/// Whether the task must not begin before its parent has ended: the sentence that says so.
async fn waits_for_parent(f: &Feeding<'_>) -> Result<Option<String>, EngineError> {
    let Some(parent) = f.t.parent_id.filter(|_| f.waits() && !f.plan().feed.no_wait_parent && !f.refined.adjust.is_released(PARENT_STAGE))
    else {
        return Ok(None);
    };
    let Some(p) = archive::task::find(&f.ops.store, parent).await? else { return Ok(None) };
    let reason = format!("waits for its parent task {parent}; it begins when that has ended, or at once with `noWaitParent`");
    Ok((!p.state.is_final()).then_some(reason))
}

/// Whether the task is held up until its input is complete (`spec/engine.md` sections 5.2 and 15.1): the sentence that says so. What does not exist yet is
/// waited for in any case; a task that reads no data set begins when somebody releases it.
async fn held_up(f: &Feeding<'_>, all: &[TaskDataset]) -> Result<Option<String>, EngineError> {
    let plan = f.plan();
    if !plan.feed.holds_up || !f.waits() || f.refined.adjust.is_released(HOLDUP_STAGE) {
        return Ok(None);
    }
    let free = "`task/release` lets it go (`workflowHoldup`)";
    if plan.inputs.is_empty() {
        return Ok(Some(format!("it is held up until somebody releases it: {free}")));
    }
    for input in &plan.inputs {
        let found = parts::resolve(f.ops, &f.t.vo, &input.datasets).await?;
        if !found.open {
            continue;
        }
        let mut batch = Batch::new();
        for d in all.iter().filter(|d| d.role.is_input()) {
            found.names.iter().for_each(|name| catalogue::watch(&mut batch, &f.t.vo, name, d.id));
        }
        f.ops.store.apply(batch).await?;
        let names = input.datasets.join(",");
        return Ok(Some(format!("it is held up until its input {names} is complete, which is when that is closed; {free}")));
    }
    Ok(None)
}

/// Puts the task on hold, with its reason; the inputs that were due are looked at again after `period` microseconds.
async fn hold(f: &mut Feeding<'_>, all: &[TaskDataset], stage: &'static str, reason: &str, period: i64) -> Result<Fed, EngineError> {
    let now = f.now.0;
    let mut batch = f.start();
    for d in all.iter().filter(|d| d.role.is_input() && (d.look_us.is_some() || d.state == "defined")) {
        task::dataset::look(&mut batch, d.id, Some(now + period));
    }
    let doc = json!({"reason": reason, "again_us": now + period}).to_string();
    decision::set(&mut batch, f.t.id.0, stage, now, &doc);
    let holds = f.t.state == TaskState::Defined;
    if holds {
        let after = TaskRow { state: TaskState::Pending, prev_state: Some(f.t.state), reason: Some(reason.to_owned()), ..f.t.clone() };
        f.ops.move_task(&mut batch, &f.t, &after, Actor::Engine, now, Some(reason)).await?;
    } else if f.t.state == TaskState::Pending && f.t.reason.as_deref() != Some(reason) && f.t.prev_state == Some(TaskState::Defined) {
        // It waits for the same, for another reason.
        let after = TaskRow { reason: Some(reason.to_owned()), ..f.t.clone() };
        task::transition::set(&mut batch, &f.t, &after, now);
    } else {
        task::transition::guard(&mut batch, &f.t, now);
    }
    f.ops.store.apply(batch).await?;
    Ok(Fed { changed: holds, more: false })
}

/// Changes of an input's counters.
fn came(n: usize, rows: &Rows) -> Delta {
    let files = i64::try_from(n).unwrap_or(0);
    Delta { files, events: rows.events, missing: rows.missing, on_hold: rows.waiting, ..Delta::default() }
}

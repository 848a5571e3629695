//! Time-driven rules of tasks (`spec/engine.md` sections 4.4, 5.9 and 20.9): holds, throttles, exhausted tasks, goals, failures, parents, commands
//! that nobody carries out.

use std::collections::{BTreeMap, HashMap};

use panda_core::{
    id::TaskId,
    machine::Actor,
    setting::{Values, task_timer},
    task::{
        command::Command,
        finish::{Parent, completeness},
        state::TaskState,
        timers::{self, Action, Limits, Met, View},
    },
    time::Micros,
};
use panda_ops::{Ops, task::steer};
use panda_store::{
    Batch, Topic,
    query::{
        job,
        task::{self, TaskRow, dataset::TaskDataset},
    },
};
use serde_json::{Map, json};

use super::released;
use crate::{EngineError, Report, feed::PARENT_STAGE, finish::view, plan, scout};

/// Rows of one page.
const PAGE: i64 = 200;
/// States whose tasks are looked at in each step: their rules count from an instant in the row.
const WAITING: &[TaskState] = &[TaskState::Pending, TaskState::Exhausted, TaskState::Throttled];
/// States whose tasks are looked at once in a while: their rules need counts.
const WORKING: &[TaskState] = &[TaskState::Running, TaskState::Scouting];

/// One step.
pub async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let settings = ops.settings().await?;
    let watch = Watch { ops, settings: &settings, now };
    let mut report = Report::default();
    let mut after = TaskId(0);
    loop {
        let page = task::list::in_states(&ops.store, WAITING, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let released = released::among(ops, &page).await?;
        for t in &page {
            if let Some(reason) = released.get(&t.id) {
                report.done += usize::from(watch.look_again(t, reason).await?);
                continue;
            }
            // Most are not due, which the row alone says.
            if watch.due(t, &View { commanded: true, ..watch.bare(t) }).is_some() {
                watch.look(t, &mut report).await?;
            }
        }
    }
    watch.working(&mut report).await?;
    watch.others(&mut report).await?;
    Ok(report)
}

struct Watch<'a> {
    ops: &'a Ops,
    settings: &'a Values,
    now: Micros,
}

impl Watch<'_> {
    /// Tasks at work, each once in a while.
    async fn working(&self, report: &mut Report) -> Result<(), EngineError> {
        let every = self.settings.least_int(&task_timer::CHECK_S).max(1).saturating_mul(1_000_000);
        let mut after = TaskId(0);
        loop {
            let page = task::list::unchecked(&self.ops.store, WORKING, after, self.now.0 - every, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let own = |t: &&TaskRow| {
                let every = self.settings.int(&task_timer::CHECK_S, &t.vo, &t.label).max(1).saturating_mul(1_000_000);
                t.checked_us.is_none_or(|at| at < self.now.0 - every)
            };
            let page: Vec<&TaskRow> = page.iter().filter(own).collect();
            let mut batch = Batch::new();
            for t in &page {
                task::transition::checked(&mut batch, t.id, self.now.0);
            }
            for t in page {
                // What was measured is a new revision: its rules have their turn next time.
                if !self.measure(t).await {
                    self.look(t, report).await?;
                }
            }
            if !batch.is_empty() {
                self.ops.store.apply(batch).await?;
            }
        }
    }

    /// Children of parents that ended badly, and tasks whose command is lost.
    async fn others(&self, report: &mut Report) -> Result<(), EngineError> {
        let mut after = TaskId(0);
        loop {
            let page = task::list::orphans(&self.ops.store, panda_core::task::transition::KILLABLE, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for t in &page {
                self.look(t, report).await?;
            }
        }
        after = TaskId(0);
        loop {
            let page = task::list::stuck(&self.ops.store, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for t in &page {
                if let Some(met) = self.due(t, &View { commanded: false, ..self.bare(t) }) {
                    self.act(t, met, report).await?;
                }
            }
        }
    }

    /// A running task is measured again at its marks. Whoever changes it at the same time goes before: it is looked at again.
    async fn measure(&self, t: &TaskRow) -> bool {
        match scout::refresh(self.ops, t, self.now).await {
            Ok(measured) => measured,
            Err(e) if e.is_conflict() => true,
            Err(e) => {
                tracing::error!(task = %t.id, "requirements: {e}");
                false
            }
        }
    }

    fn due(&self, t: &TaskRow, view: &View) -> Option<Met> {
        let int = |s: &panda_core::setting::Setting| self.settings.int(s, &t.vo, &t.label);
        let float = |s: &panda_core::setting::Setting| self.settings.opt_float(s, &t.vo, &t.label);
        timers::due(view, self.now, &Limits { int: &int, float: &float }).map(|(_, met)| met)
    }

    /// What the row says.
    fn bare(&self, t: &TaskRow) -> View {
        View {
            state: t.state,
            state_since: Micros(t.state_us),
            frozen_since: t.frozen_us.map(Micros),
            priority: t.priority,
            n_throttled: t.n_throttled,
            auto_finish: true,
            auto_pause: true,
            failure_rate: None,
            use_exhausted: false,
            parent: Parent::None,
            goal: None,
            completeness: 0,
            files: 0,
            files_ended: 0,
            files_finished: 0,
            jobs_finished: 0,
            jobs_failed: 0,
            jobs_left: 0,
            failed_attempts: 0,
            commanded: true,
        }
    }

    /// Looks at one task with all that its rules need.
    async fn look(&self, t: &TaskRow, report: &mut Report) -> Result<(), EngineError> {
        let view = match self.view(t).await {
            Ok(view) => view,
            Err(e) => {
                tracing::error!(task = %t.id, "time-driven rules: {e}");
                return Ok(());
            }
        };
        match self.due(t, &view) {
            Some(met) => self.act(t, met, report).await,
            None => Ok(()),
        }
    }

    async fn view(&self, t: &TaskRow) -> Result<View, EngineError> {
        let refined = plan::of(self.ops, t).await?;
        let plan = &refined.plan;
        let datasets = task::dataset::of_task(&self.ops.store, t.id).await?;
        let masters: Vec<&TaskDataset> = datasets.iter().filter(|d| d.is_master).collect();
        let counts: HashMap<String, i64> = job::list::count_task(&self.ops.store, t.id).await?.into_iter().collect();
        let n = |word: &str| counts.get(word).copied().unwrap_or(0);
        let ended = n("finished") + n("failed") + n("cancelled") + n("closed");
        let minds = !plan.feed.no_wait_parent && !refined.adjust.is_released(PARENT_STAGE);
        let finish = view::of(t, &datasets, plan, view::parent(self.ops, t, minds).await?);
        Ok(View {
            auto_finish: !plan.behaviour.no_auto_finish,
            auto_pause: !plan.behaviour.no_auto_pause,
            failure_rate: plan.behaviour.failure_rate,
            use_exhausted: finish.use_exhausted,
            parent: finish.parent,
            goal: if finish.mutable_input || refined.adjust.past_goal { None } else { finish.goal },
            completeness: completeness(&finish),
            files: finish.files,
            files_ended: finish.files_finished + masters.iter().map(|d| d.n_failed).sum::<i64>(),
            files_finished: finish.files_finished,
            jobs_finished: n("finished"),
            jobs_failed: n("failed"),
            jobs_left: counts.values().sum::<i64>() - ended,
            failed_attempts: self.failed_attempts(t, &masters, n("failed")).await?,
            ..self.bare(t)
        })
    }

    /// How often the unfinished files failed on average; counted only when so many jobs failed that it can matter.
    async fn failed_attempts(&self, t: &TaskRow, masters: &[&TaskDataset], failed: i64) -> Result<i64, EngineError> {
        let step = self.settings.int(&task_timer::THROTTLE_STEP, &t.vo, &t.label);
        if t.state != TaskState::Running || step <= 0 || failed < step * (t.n_throttled + 1) {
            return Ok(0);
        }
        let (mut files, mut failures) = (0, 0);
        for d in masters {
            let of = task::file::failures(&self.ops.store, d.id).await?;
            (files, failures) = (files + of.0, failures + of.1);
        }
        Ok(if files > 0 { failures / files } else { 0 })
    }

    /// Does what a rule says.
    async fn act(&self, t: &TaskRow, met: Met, report: &mut Report) -> Result<(), EngineError> {
        let reason = met.reason.as_str();
        let moved = match met.action {
            Action::LookAgain => self.look_again(t, reason).await?,
            Action::Exhaust => self.move_to(t, TaskRow { state: TaskState::Exhausted, prev_state: None, ..t.clone() }, reason).await?,
            Action::Throttle => {
                let n_throttled = t.n_throttled + 1;
                let after = TaskRow { state: TaskState::Throttled, prev_state: Some(t.state), n_throttled, ..t.clone() };
                self.move_to(t, after, reason).await?
            }
            Action::Kill => self.command(t, Command::Kill, Map::new(), reason).await?,
            Action::SoftFinish => self.command(t, Command::Finish, soft(), reason).await?,
            Action::Pause => self.command(t, Command::Pause, Map::new(), reason).await?,
            Action::Command(command) => {
                let args = if command == Command::Finish { soft() } else { Map::new() };
                self.again(t, command, args, reason).await?
            }
            Action::Boost(priority) => self.boost(t, priority).await?,
        };
        report.done += usize::from(moved);
        Ok(())
    }

    /// Puts a task on hold, or a throttled one, back to where it was; one whose inputs are looked at by themselves is left alone.
    async fn look_again(&self, t: &TaskRow, reason: &str) -> Result<bool, EngineError> {
        if t.state == TaskState::Pending && t.prev_state == Some(TaskState::Defined) {
            let datasets = task::dataset::of_task(&self.ops.store, t.id).await?;
            if datasets.iter().any(|d| d.look_us.is_some()) {
                return Ok(false);
            }
        }
        let state = timers::back_to(t.prev_state);
        self.move_to(t, TaskRow { state, prev_state: None, ..t.clone() }, reason).await
    }

    async fn move_to(&self, t: &TaskRow, after: TaskRow, reason: &str) -> Result<bool, EngineError> {
        let keeps = matches!(after.state, TaskState::Exhausted | TaskState::Throttled);
        let after = TaskRow { reason: if keeps { Some(reason.to_owned()) } else { after.reason.clone() }, ..after };
        let mut batch = Batch::new();
        self.ops.move_task(&mut batch, t, &after, Actor::Watcher, self.now.0, Some(reason)).await?;
        if keeps {
            let doc = json!({"reason": reason}).to_string();
            panda_store::query::decision::set(&mut batch, t.id.0, "watch", self.now.0, &doc);
        }
        batch.wake(Topic::Files);
        applied(self.ops.store.apply(batch).await)
    }

    async fn command(
        &self,
        t: &TaskRow,
        command: Command,
        args: Map<String, serde_json::Value>,
        reason: &str,
    ) -> Result<bool, EngineError> {
        Ok(steer::by_rule(self.ops, t, command, args, Actor::Watcher, reason).await?)
    }

    /// Leaves a lost command again; the task is where it leads already.
    async fn again(
        &self,
        t: &TaskRow,
        command: Command,
        mut args: Map<String, serde_json::Value>,
        reason: &str,
    ) -> Result<bool, EngineError> {
        args.insert("rule".into(), reason.into());
        let row = task::transition::TaskCommand {
            task_id: t.id,
            command: command.as_str().to_owned(),
            person_id: t.person_id,
            at_us: self.now.0,
            doc: Some(serde_json::Value::Object(args).to_string()),
        };
        let mut batch = Batch::new();
        task::transition::set(&mut batch, t, &TaskRow { command: Some(row.command.clone()), ..t.clone() }, self.now.0);
        task::transition::add_command(&mut batch, &row);
        applied(self.ops.store.apply(batch).await)
    }

    async fn boost(&self, t: &TaskRow, priority: i64) -> Result<bool, EngineError> {
        let mut batch = Batch::new();
        task::transition::set(&mut batch, t, &TaskRow { priority, ..t.clone() }, self.now.0);
        applied(self.ops.store.apply(batch).await)
    }
}

fn soft() -> Map<String, serde_json::Value> {
    BTreeMap::from([("soft".to_owned(), true.into())]).into_iter().collect()
}

/// False when somebody else was first: the next step looks again.
fn applied(result: Result<(), panda_store::Error>) -> Result<bool, EngineError> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

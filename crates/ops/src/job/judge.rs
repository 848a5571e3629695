//! Carries out what retry rules want of a job's files and of its task: more memory, more time, less input (`spec/engine.md` section 11). What was
//! done is recorded on the job as the decision `retry`.

use std::collections::{BTreeMap, btree_map::Entry};

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    job::{error::Class, record::JobKind},
    policy::{
        ram::Ram,
        retry::{
            input,
            memory::{self, Growth},
            rule::{Action, Picked, Rule},
            time,
        },
        split::limits::Cpu,
    },
};
use panda_store::{
    Batch,
    query::{
        decision,
        job::JobRow,
        task::{self, TaskRow},
    },
};
use panda_wire::TaskParameters;
use serde_json::{Map, Value, json};

use super::account::End;
use crate::{
    Ops, OpsError,
    task::plan::{Adjust, Plan, language},
};

/// Stage of the decision record.
pub const STAGE: &str = "retry";

/// Records why it is not decided yet whether a job's inputs are tried again.
pub async fn waits(ops: &Ops, job: JobId, reason: &str) -> Result<(), OpsError> {
    let doc = json!({ "reason": reason }).to_string();
    if decision::get(&ops.store, job.0, STAGE).await?.is_some_and(|(_, known)| known == doc) {
        return Ok(());
    }
    let mut batch = Batch::new();
    decision::set(&mut batch, job.0, STAGE, ops.now().0, &doc);
    Ok(ops.store.apply(batch).await?)
}

/// The tasks of a batch, as far as rules change them.
#[derive(Debug, Default)]
pub struct Tasks(BTreeMap<TaskId, Option<Facts>>);

/// A task as rules see and change it.
#[derive(Debug)]
pub struct Facts {
    row: TaskRow,
    plan: Plan,
    /// Memory that it asked for itself, in its own unit.
    asked_mb: i64,
    adjust: Adjust,
    changed: bool,
    /// Two letters of its split rules.
    rules: Vec<&'static str>,
    /// Architecture that it asks for.
    pub architecture: String,
    masters: Vec<i64>,
    n_files: i64,
    /// Files whose memory this batch raises above the task's.
    raised: i64,
}

impl Facts {
    async fn load(ops: &Ops, id: TaskId) -> Result<Option<Self>, OpsError> {
        let Some(row) = task::list::get(&ops.store, id).await? else { return Ok(None) };
        let Some((text, adjust)) = task::list::doc(&ops.store, id).await? else { return Ok(None) };
        let wrong = |e: String| OpsError::Internal(format!("parameters of task {id}: {e}"));
        let value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let params = TaskParameters::from_value(value).map_err(|e| wrong(e.to_string()))?;
        let adjust = Adjust::parse(adjust.as_deref()).map_err(wrong)?;
        let asked = Plan::of(&params, &Adjust::default()).map_err(|e| wrong(e.to_string()))?;
        let plan = Plan::of(&params, &adjust).map_err(|e| wrong(e.to_string()))?;
        let rules = language::split_rules(&params, &Adjust::default()).into_iter().map(|(rule, _)| rule.code).collect();
        let masters: Vec<_> = task::dataset::of_task(&ops.store, id).await?.into_iter().filter(|d| d.is_master).collect();
        Ok(Some(Self {
            row,
            asked_mb: asked.needs.ram.mb,
            plan,
            adjust,
            changed: false,
            rules,
            architecture: params.architecture.as_ref().map(|a| a.0.clone()).unwrap_or_default(),
            n_files: masters.iter().map(|d| d.n_files).sum(),
            masters: masters.into_iter().map(|d| d.id).collect(),
            raised: 0,
        }))
    }
    /// What it comes to.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }
    /// Release that it asks for.
    #[must_use]
    pub fn release(&self) -> String {
        self.plan.needs.release.clone().unwrap_or_default()
    }
    fn growth(&self) -> Growth {
        let r = self.plan.behaviour.retry_ram;
        Growth { offset_mb: r.offset_mb.unwrap_or(0), step_mb: r.step_mb.unwrap_or(0), max_mb: r.max_mb.unwrap_or(0) }
    }
    fn unit(&self) -> &'static str {
        if self.plan.needs.ram.per_core { "MB for each core" } else { "MB" }
    }
}

impl Tasks {
    /// The task of a job; none for a job without one.
    pub(crate) async fn of(&mut self, ops: &Ops, j: &JobRow) -> Result<Option<&mut Facts>, OpsError> {
        let Some(id) = j.task_id else { return Ok(None) };
        if let Entry::Vacant(place) = self.0.entry(id) {
            place.insert(Facts::load(ops, id).await?);
        }
        Ok(self.0.get_mut(&id).and_then(Option::as_mut))
    }
    /// Writes what was changed of tasks; a conflict when somebody else changed one since it was read.
    pub(crate) fn flush(&mut self, batch: &mut Batch, now_us: i64) {
        for facts in self.0.values().flatten().filter(|f| f.changed) {
            task::transition::set(batch, &facts.row, &facts.row, now_us);
            task::transition::set_adjust(batch, facts.row.id, &facts.adjust.to_text());
        }
    }

    /// Does what the picked rules want; the answer is what the record says of it: nothing when no rule matches.
    pub(crate) async fn carry_out(
        &mut self,
        ops: &Ops,
        batch: &mut Batch,
        e: &End<'_>,
        picked: &Picked<'_>,
        class: Option<Class>,
    ) -> Result<Map<String, Value>, OpsError> {
        let mut done = Vec::new();
        for rule in &picked.rules {
            let effect = match rule.action {
                Action::NoRetry => Some("its inputs are not tried again".to_owned()),
                Action::LimitRetry => rule.params.max_attempt.map(|n| format!("its inputs are tried at most {n} times")),
                Action::Classify => rule.params.class.map(|c| format!("it counts as an error of the class {c}")),
                _ => self.change(ops, batch, e, rule).await?,
            };
            done.extend(effect.map(|effect| (*rule, effect)));
        }
        if done.is_empty() && picked.dry.is_empty() {
            return Ok(Map::new());
        }
        let one = |(rule, effect): &(&Rule, String)| json!({"rule": rule.id, "action": rule.action.as_str(), "effect": effect, "note": rule.note});
        let dry = |rule: &&Rule| json!({"rule": rule.id, "action": rule.action.as_str(), "note": rule.note});
        let reason: Vec<&str> = done.iter().map(|(_, effect)| effect.as_str()).collect();
        let reason = if reason.is_empty() { "only rules that are switched off match".to_owned() } else { reason.join("; ") };
        let mut doc = Map::new();
        doc.insert("reason".into(), reason.into());
        doc.insert("class".into(), class.map(Class::as_str).into());
        doc.insert("rules".into(), done.iter().map(one).collect());
        doc.insert("dry".into(), picked.dry.iter().map(dry).collect());
        Ok(doc)
    }

    /// A rule that changes files or the task; the answer says what it did, nothing when it is not for this job.
    async fn change(&mut self, ops: &Ops, batch: &mut Batch, e: &End<'_>, rule: &Rule) -> Result<Option<String>, OpsError> {
        let j = e.before;
        let files: Vec<_> = e.inputs.iter().filter(|f| f.state == FileState::Running).collect();
        if j.kind != JobKind::Run || files.is_empty() {
            return Ok(None);
        }
        let Some(t) = self.of(ops, j).await? else { return Ok(None) };
        match rule.action {
            Action::IncreaseMemory | Action::IncreaseMemoryXtimes => more_memory(ops, batch, e, rule.action, t).await,
            Action::IncreaseCputime => Ok(more_time(ops, e, t).await?),
            Action::ReduceInput => Ok(less_input(e, rule, t)),
            Action::NoRetry | Action::LimitRetry | Action::Classify => Ok(None),
        }
    }
}

/// More memory for the job's files, and for the whole task when many of them need it.
async fn more_memory(ops: &Ops, batch: &mut Batch, e: &End<'_>, action: Action, t: &mut Facts) -> Result<Option<String>, OpsError> {
    let (ram, j, growth): (Ram, &JobRow, Growth) = (t.plan.needs.ram, e.before, t.growth());
    let more = match action {
        // A task that says itself how its memory grows does not climb the ladder.
        Action::IncreaseMemory if growth.step_mb > 0 => memory::More::NotForThis,
        Action::IncreaseMemory => memory::ladder(&ram, j.ram_mb, j.core_count),
        _ => memory::xtimes(&ram, &growth, t.asked_mb, j.ram_mb, j.core_count),
    };
    let had = ram.of_task(j.ram_mb, j.core_count);
    let to = match more {
        memory::More::NotForThis => return Ok(None),
        memory::More::Already => return Ok(Some(format!("its task was raised to {} {} meanwhile", ram.mb, t.unit()))),
        memory::More::Top => return Ok(Some(format!("it had {had} {} already, there is no higher step", t.unit()))),
        memory::More::To(to) => to,
    };
    let files: Vec<_> = e.inputs.iter().filter(|f| f.state == FileState::Running).collect();
    let ids: Vec<i64> = files.iter().map(|f| f.id).collect();
    for ids in ids.chunks(panda_store::MAX_IN_LIST) {
        task::file::raise(batch, ids, to);
    }
    let masters = &t.masters;
    t.raised += i64::try_from(files.iter().filter(|f| masters.contains(&f.dataset_id) && f.ram_mb <= ram.mb).count()).unwrap_or(0);
    let mut raised = t.raised;
    for dataset in &t.masters {
        raised += task::file::raised(&ops.store, *dataset, ram.mb).await?;
    }
    let mut said = format!("the next attempt gets {to} {} instead of {had}", t.unit());
    if memory::whole_task(raised, t.n_files) && !ram.fixed && to > ram.mb {
        t.adjust.ram_mb = Some(to.max(t.adjust.ram_mb.unwrap_or(0)));
        t.plan.needs.ram.mb = to;
        (t.changed, t.raised) = (true, 0);
        said.push_str(&format!("; {raised} of {} files need more than the task asks for, so all its jobs get it", t.n_files));
    }
    Ok(Some(said))
}

/// More time for the jobs of the task.
async fn more_time(ops: &Ops, e: &End<'_>, t: &mut Facts) -> Result<Option<String>, OpsError> {
    let j = e.after.clone();
    let power = match j.queue_id {
        Some(id) => ops.queues().await?.facts.iter().find(|q| q.id == id).map_or(0, |q| q.core_power_milli),
        None => 0,
    };
    let used = time::Used {
        wall_s: j.started_us.zip(j.ended_us).map_or(0, |(start, end)| (end - start).max(0) / 1_000_000),
        cpu_s: e.cpu_s,
        events: e.inputs.iter().filter_map(|f| f.n_events).sum(),
        core_power_milli: power,
        granted_s: j.walltime_s,
    };
    let per_event = if let Cpu::PerEvent(ms) = t.plan.estimate.cpu { Some(ms) } else { None };
    Ok(Some(match time::more(&used, per_event, t.plan.walltime_s, t.plan.split.max_walltime_s.unwrap_or(0)) {
        time::More::PerEvent(ms) => {
            t.adjust.cpu_ms_per_event = Some(ms);
            t.plan.estimate.cpu = Cpu::PerEvent(ms);
            t.changed = true;
            format!("jobs of the task are made for {ms} HS06 milliseconds an event, as it was measured")
        }
        time::More::Wall(s) => {
            t.adjust.walltime_s = Some(s);
            t.plan.walltime_s = s;
            t.changed = true;
            format!("jobs of the task get {s} s instead of {}", j.walltime_s)
        }
        time::More::Already => "its task asks for more time already".to_owned(),
        time::More::Top => format!("it had {} s already, which is the most that its task allows", j.walltime_s),
    }))
}

/// Smaller jobs.
fn less_input(e: &End<'_>, rule: &Rule, t: &mut Facts) -> Option<String> {
    let masters: Vec<_> = e.inputs.iter().filter(|f| t.masters.contains(&f.dataset_id)).collect();
    let first = t.adjust.first_files.map(|n| (i64::try_from(n).unwrap_or(i64::MAX), t.adjust.first_bytes.unwrap_or(1)));
    let job = input::Job {
        attempt: masters.iter().map(|f| f.attempt + 1).max()?,
        files: i64::try_from(masters.len()).unwrap_or(i64::MAX),
        bytes: masters.iter().filter_map(|f| f.fsize).sum(),
        rules: &t.rules,
        first,
    };
    let less = input::less(&job, &rule.params)?;
    let files = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    t.adjust.max_files = Some(files(less.files));
    t.adjust.max_bytes = Some(less.bytes);
    t.adjust.first_files = Some(files(less.first_files));
    t.adjust.first_bytes = Some(less.first_bytes);
    t.changed = true;
    Some(format!("jobs of the task get at most {} files of {} bytes together", less.files, less.bytes))
}

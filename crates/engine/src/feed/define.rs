//! The data sets of a task, from its plan: registered → defined.

use panda_core::{file::FileRole, machine::Actor, policy::names, task::state::TaskState, time::Micros};
use panda_ops::{Ops, task::plan::Plan};
use panda_store::{
    Batch, IdKind, Topic,
    query::{
        dataset::{self, DatasetRow},
        task::{
            self, TaskRow,
            dataset::{DAG, Delta, TaskDataset},
        },
    },
};

use crate::{
    EngineError,
    finish::catalogue::{plain_name, scope_of},
    plan, retry,
};

/// Longest name of a data set of a task; a list of several is cut.
const MAX_NAME: usize = 255;
/// Statements and rows of a task's begin that go with its first rows, which leave so much room in a batch.
const MAX_BEGUN: usize = 12;

/// What a task begins with: its data sets, those of the catalogue, its move to defined.
#[derive(Debug)]
pub(super) struct Begun {
    batch: Batch,
    /// Its data sets.
    pub sets: Vec<TaskDataset>,
}

impl Begun {
    fn len(&self) -> usize {
        self.batch.len() + self.sets.len()
    }
    /// All of it; with one of the data sets as it is by now.
    pub fn batch(self, listed: Option<&TaskDataset>) -> Batch {
        let mut batch = Batch::new();
        for d in &self.sets {
            task::dataset::add(&mut batch, listed.filter(|l| l.id == d.id).unwrap_or(d));
        }
        batch.append(self.batch);
        batch.relax();
        batch
    }
}

/// The data sets of a task that is to be defined, and its move to there. What a new task begins with is not written yet: it goes with its first
/// rows. Nothing when it turned out to be broken.
pub(super) async fn define(ops: &Ops, t: &TaskRow, now: Micros) -> Result<Option<(TaskRow, Option<Begun>)>, EngineError> {
    let refined = match plan::of(ops, t).await {
        Ok(refined) => refined,
        Err(e @ EngineError::Internal(_)) => return broken(ops, t, &e.to_string(), now).await.map(|()| None),
        Err(e) => return Err(e),
    };
    // A task that nothing has happened to has no data sets.
    let existing = if t.rev == 0 { Vec::new() } else { task::dataset::of_task(&ops.store, t.id).await? };
    let mut batch = Batch::new();
    let sets = new_sets(ops, &mut batch, t, &refined.plan, &existing, now).await?;
    if t.state == TaskState::Rerefine {
        // Taken up again: what failed is tried once more, and every input is listed again for what is new.
        retry::events(&mut batch, t, &refined.plan, &existing, &serde_json::Value::Null, now);
        retry::revive(ops, &mut batch, &existing, now).await?;
        // A DAG is what it is: its nodes are listed once.
        for d in existing.iter().filter(|d| d.role.is_input() && !(d.is_dag() && d.state != "feeding")) {
            let again = TaskDataset { state: "feeding".into(), part: 0, part_after: None, look_us: Some(0), ..d.clone() };
            task::dataset::progress(&mut batch, d, &again, Delta::default(), now.0);
        }
    }
    let after = TaskRow { state: TaskState::Defined, reason: None, prev_state: None, ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, None).await?;
    batch.relax();
    // Whoever defines it lists its inputs.
    batch.wakes.retain(|topic| *topic != Topic::Tasks);
    let t = TaskRow { rev: t.rev + 1, ..after };
    let begun = Begun { batch, sets };
    if existing.is_empty() && begun.len() <= MAX_BEGUN {
        return Ok(Some((t, Some(begun))));
    }
    ops.store.apply(begun.batch(None)).await?;
    Ok(Some((t, None)))
}

/// Moves the task to where only its parameters help.
pub(crate) async fn broken(ops: &Ops, t: &TaskRow, reason: &str, now: Micros) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    let after = TaskRow { state: TaskState::Tobroken, reason: Some(reason.to_owned()), ..t.clone() };
    ops.move_task(&mut batch, t, &after, Actor::Engine, now.0, Some(reason)).await?;
    batch.wake(Topic::Ended);
    ops.store.apply(batch).await?;
    Ok(())
}

/// The data sets of the plan that are not there; those of outputs get their row in the catalogue.
async fn new_sets(
    ops: &Ops,
    batch: &mut Batch,
    t: &TaskRow,
    plan: &Plan,
    existing: &[TaskDataset],
    now: Micros,
) -> Result<Vec<TaskDataset>, EngineError> {
    let mut new = datasets(t, plan);
    new.retain(|d| !existing.iter().any(|e| e.role == d.role && e.stream == d.stream));
    let first = existing.iter().map(|d| d.seq + 1).max().unwrap_or(0);
    let outputs: Vec<&str> = plan.outputs.iter().map(|o| o.dataset.as_str()).collect();
    let mut ids = ops.store.ids(IdKind::Row, new.len() + outputs.len()).await?.into_iter();
    for (n, d) in new.iter_mut().enumerate() {
        d.id = ids.next().unwrap_or_default();
        d.seq = first + i64::try_from(n).unwrap_or(0);
        if d.role.is_input() {
            d.look_us = Some(0);
        }
    }
    if !new.is_empty() {
        for name in outputs {
            let row = DatasetRow {
                id: ids.next().unwrap_or_default(),
                vo: t.vo.clone(),
                name: plain_name(name).to_owned(),
                scope: scope_of(name),
                state: "open".into(),
                person_id: Some(t.person_id),
                n_files: 0,
                n_bytes: 0,
                created_us: now.0,
            };
            dataset::add_if_new(batch, &row);
        }
    }
    Ok(new)
}

fn datasets(t: &TaskRow, plan: &Plan) -> Vec<TaskDataset> {
    let mut out = Vec::new();
    let row =
        |role: FileRole, name: &str, stream: &str, is_master: bool| TaskDataset { is_master, ..TaskDataset::new(t.id, role, name, stream) };
    if plan.pseudo.is_some() {
        let stream = if plan.dag.is_some() { DAG } else { "pseudo" };
        out.push(row(FileRole::PseudoInput, "pseudo_dataset", stream, true));
    }
    if !plan.pfns.is_empty() {
        out.push(row(FileRole::PseudoInput, "pfn_list", "IN", true));
    }
    for input in &plan.inputs {
        let name: String = input.datasets.join(",").chars().take(MAX_NAME).collect();
        let master = input.master && plan.pseudo.is_none() && plan.pfns.is_empty();
        out.push(row(FileRole::Input, &name, &input.stream, master));
    }
    for o in &plan.outputs {
        let role = if o.is_log { FileRole::Log } else { FileRole::Output };
        out.push(TaskDataset { pattern: Some(o.template.clone()), ..row(role, &o.dataset, &o.stream, false) });
        if plan.merge.is_some() {
            let role = if o.is_log { FileRole::TrnLog } else { FileRole::TrnOutput };
            let name = names::pre_merge(&o.dataset);
            out.push(TaskDataset { pattern: Some(names::pre_merge(&o.template)), ..row(role, &name, &o.stream, false) });
        }
    }
    out
}

//! Which data set of the catalogue a task's output data set is registered in.

use std::collections::HashMap;

use panda_core::id::TaskId;
use panda_ops::Ops;
use panda_store::{
    Batch, IdKind,
    query::{
        dataset::{self, DatasetRow},
        job::JobRow,
        task,
    },
};
use parking_lot::Mutex;

use crate::EngineError;

/// Data set of the catalogue by data set of a task. Row ids are never reused, so an entry cannot become wrong.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<i64, i64>>);

/// Most pairs kept in memory; the cache is emptied when it is full.
const MAX_CACHED: usize = 20_000;

/// A data set's name as the catalogue has it: without scope and trailing slash.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.split_once(':').map_or(name, |(_, n)| n)
}

/// The scope of a data set's name: the one written before a colon, else by the field rule.
#[must_use]
pub fn scope_of(name: &str) -> String {
    match name.split_once(':') {
        Some((scope, _)) => scope.to_owned(),
        None => panda_core::policy::names::scope(name.trim_end_matches('/')).to_owned(),
    }
}

/// The catalogue's row for an output data set of a task, made when it is new.
pub async fn ensure(ops: &Ops, vo: &str, name: &str, person: i64) -> Result<i64, EngineError> {
    let plain = plain_name(name);
    for _ in 0..2 {
        if let Some(found) = dataset::by_name(&ops.store, vo, plain).await? {
            return Ok(found.id);
        }
        let row = DatasetRow {
            id: ops.store.id(IdKind::Row).await?,
            vo: vo.to_owned(),
            name: plain.to_owned(),
            scope: scope_of(name),
            state: "open".into(),
            person_id: Some(person),
            n_files: 0,
            n_bytes: 0,
            created_us: ops.now().0,
        };
        let mut batch = Batch::new();
        dataset::add(&mut batch, &row);
        match ops.store.apply(batch).await {
            Ok(()) => return Ok(row.id),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(EngineError::Internal(format!("data set {plain} of {vo} appears and vanishes")))
}

/// The catalogue's row for an output's data set. Outputs of a job without a task name it themselves, those of a task name the task's data set.
pub async fn of_output(ops: &Ops, job: &JobRow, task_dataset: i64) -> Result<Option<i64>, EngineError> {
    let Some(task_id) = job.task_id else { return Ok(Some(task_dataset)) };
    let known = ops.live.of::<Known>();
    if let Some(found) = known.0.lock().get(&task_dataset) {
        return Ok(Some(*found));
    }
    let Some(name) = name_of(ops, task_id, task_dataset).await? else { return Ok(None) };
    let id = ensure(ops, &job.vo, &name, job.person_id).await?;
    let mut known = known.0.lock();
    if known.len() >= MAX_CACHED {
        known.clear();
    }
    known.insert(task_dataset, id);
    Ok(Some(id))
}

async fn name_of(ops: &Ops, task: TaskId, dataset: i64) -> Result<Option<String>, EngineError> {
    Ok(task::dataset::of_task(&ops.store, task).await?.into_iter().find(|d| d.id == dataset).map(|d| d.name))
}

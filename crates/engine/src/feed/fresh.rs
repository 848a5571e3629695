//! Small tasks that were listed in one batch, with their rows as written, for the turn in which their jobs are made: nothing is read again as long as
//! the task is what it was then. Whatever is written from them is guarded like what is read anew.

use std::{collections::BTreeMap, sync::Arc};

use panda_core::{file::FileState, id::TaskId, time::Micros};
use panda_ops::Ops;
use panda_store::query::task::{TaskRow, dataset::TaskDataset, file::TaskFile};
use parking_lot::Mutex;

use super::Feeding;
use crate::plan::Refined;

/// Most rows of a task that is kept.
const MAX_ROWS: usize = 200;
/// Most rows kept altogether; tasks beyond it are read when it is their turn.
const MAX_HELD: usize = 20_000;
/// How long a task is kept that gets no turn, microseconds.
const KEPT_US: i64 = 10_000_000;

/// A task as it was left.
#[derive(Debug)]
pub struct Fresh {
    /// Its data sets.
    pub datasets: Vec<TaskDataset>,
    /// All rows of the master, ready.
    pub files: Vec<TaskFile>,
    /// Its parameters and plan.
    pub refined: Arc<Refined>,
    /// Revisions of the task and of its parameters.
    revs: (i64, i64),
    at: Micros,
}

#[derive(Debug, Default)]
struct Inner {
    tasks: BTreeMap<TaskId, Fresh>,
    rows: usize,
}

/// Those of one process; they may vanish at any time.
#[derive(Debug, Default)]
struct Held(Mutex<Inner>);

impl Inner {
    fn remove(&mut self, id: TaskId) -> Option<Fresh> {
        let found = self.tasks.remove(&id)?;
        self.rows -= found.files.len();
        Some(found)
    }
    fn expire(&mut self, now: Micros) {
        let old: Vec<TaskId> = self.tasks.iter().filter(|(_, f)| f.at.0 + KEPT_US < now.0).map(|(id, _)| *id).collect();
        for id in old {
            self.remove(id);
        }
    }
}

/// Keeps a task whose data sets are `sets`, but for `listed`, with all the rows of that one.
pub(super) fn put(f: &Feeding<'_>, mut sets: Vec<TaskDataset>, listed: &TaskDataset, mut files: Vec<TaskFile>) {
    files.retain(|file| file.state == FileState::Ready);
    if files.len() > MAX_ROWS {
        return;
    }
    for d in sets.iter_mut().filter(|d| d.id == listed.id) {
        d.clone_from(listed);
    }
    let held = f.ops.live.of::<Held>();
    let mut held = held.0.lock();
    if held.rows + files.len() > MAX_HELD {
        held.expire(f.now);
    }
    if held.rows + files.len() <= MAX_HELD {
        held.remove(f.t.id);
        held.rows += files.len();
        held.tasks.insert(f.t.id, Fresh { datasets: sets, files, refined: f.refined.clone(), revs: (f.t.rev, f.t.doc_rev), at: f.now });
    }
}

/// The task as it was left, if it still is what it was then; only once.
pub fn take(ops: &Ops, t: &TaskRow) -> Option<Fresh> {
    ops.live.of::<Held>().0.lock().remove(t.id).filter(|f| f.revs == (t.rev, t.doc_rev))
}

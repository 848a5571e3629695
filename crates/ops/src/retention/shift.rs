//! Moves what has ended into the archive: a task's jobs some days after its end, the task itself when it cannot be taken up any more, jobs
//! without a task some days after theirs.

use panda_core::{
    id::{JobId, TaskId},
    policy::retention::{DAY_US, Keep, Part, part},
    setting::{
        Setting, Values,
        retention::{ARCHIVE_AFTER_DAYS, ARCHIVE_RETRY_DAYS},
    },
};
use panda_store::{
    Batch,
    query::{
        archive::{
            shift::{self, Ended},
            task as cold,
        },
        task::TaskRow,
    },
};

use crate::{Ops, OpsError};

/// Tasks read at a time.
const TASKS_A_PAGE: i64 = 200;
/// How much one step does; the next one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Batches.
    pub batches: usize,
    /// Jobs, or files, of one batch; at most 500.
    pub rows: i64,
}

impl Default for Budget {
    fn default() -> Self {
        // Batches of 500 jobs (DECISIONS "Rows"); about 10 s of work at most on a slow disk.
        Self { batches: 40, rows: 500 }
    }
}
/// Pages of jobs without a task that one step reads while it looks for those that are due.
const PAGES_A_STEP: usize = 50;

/// What one step moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Jobs.
    pub jobs: usize,
    /// Tasks.
    pub tasks: usize,
    /// Input files of tasks.
    pub files: usize,
    /// Batches applied.
    pub batches: usize,
    /// Whether the bound was met before everything was moved.
    pub more: bool,
}

impl Moved {
    fn full(&self, budget: Budget) -> bool {
        self.batches >= budget.batches
    }
}

/// One step: first what an earlier step began, then tasks, then jobs without one.
pub async fn step(ops: &Ops, budget: Budget) -> Result<Moved, OpsError> {
    let settings = ops.settings().await?;
    let mut moved = Moved::default();
    left(ops, &mut moved, budget).await?;
    tasks(ops, &settings, &mut moved, budget).await?;
    alone(ops, &settings, &mut moved, budget).await?;
    // The files of the tasks that were moved just now.
    left(ops, &mut moved, budget).await?;
    moved.more = moved.full(budget);
    Ok(moved)
}

/// The shortest and the given value of a setting in days, over all that anybody set.
fn least(settings: &Values, s: &Setting) -> i64 {
    let given = settings.iter().filter(|(key, _)| key.0 == s.name).filter_map(|(_, v)| v.parse::<i64>().ok());
    given.chain([settings.int(s, "", "")]).min().unwrap_or(0)
}

/// How long a VO's tasks and jobs of a label stay at hand.
#[must_use]
pub fn keep(settings: &Values, vo: &str, label: &str) -> Keep {
    Keep { after_days: settings.int(&ARCHIVE_AFTER_DAYS, vo, label), retry_days: settings.int(&ARCHIVE_RETRY_DAYS, vo, label) }
}

async fn apply(ops: &Ops, batch: Batch, moved: &mut Moved) -> Result<bool, OpsError> {
    moved.batches += 1;
    match ops.store.apply(batch).await {
        Ok(()) => Ok(true),
        // Somebody took the task up again: it stays.
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

async fn tasks(ops: &Ops, settings: &Values, moved: &mut Moved, budget: Budget) -> Result<(), OpsError> {
    let now = ops.now().0;
    let days = |s| now - least(settings, s).saturating_mul(DAY_US);
    let (before, long) = (days(&ARCHIVE_AFTER_DAYS), days(&ARCHIVE_RETRY_DAYS));
    let mut after = TaskId(0);
    while !moved.full(budget) {
        // Ages are compared with "at least", the statement with "less".
        let page = shift::ended(&ops.store, after, before + 1, long + 1, TASKS_A_PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = last.id;
        for ended in &page {
            if moved.full(budget) {
                break;
            }
            task(ops, settings, ended, moved, budget).await?;
        }
    }
    Ok(())
}

async fn task(ops: &Ops, settings: &Values, (t, moved_us): &Ended, moved: &mut Moved, budget: Budget) -> Result<(), OpsError> {
    let now = ops.now().0;
    let done = moved_us.is_some_and(|at| at >= t.state_us);
    let what = part(t.state, now - t.state_us, done, keep(settings, &t.vo, &t.label));
    if what == Part::Nothing {
        return Ok(());
    }
    while !moved.full(budget) {
        let ids = shift::jobs_of(&ops.store, t.id, what == Part::All, budget.rows).await?;
        if ids.is_empty() {
            return last(ops, t, what, moved).await;
        }
        super::strays::remove(ops, &ids).await?;
        let mut batch = Batch::new();
        shift::guard(&mut batch, t);
        shift::jobs(&mut batch, &shift::along(&ops.store, &ids).await?, &t.vo);
        if !apply(ops, batch, moved).await? {
            return Ok(());
        }
        moved.jobs += ids.len();
    }
    Ok(())
}

/// No job is left to move: the task follows, or it is noted that its jobs are gone.
async fn last(ops: &Ops, t: &TaskRow, what: Part, moved: &mut Moved) -> Result<(), OpsError> {
    let mut batch = Batch::new();
    if what == Part::Jobs {
        shift::jobs_moved(&mut batch, t, ops.now().0);
    } else if shift::hot_jobs(&ops.store, t.id).await? == 0 {
        shift::task(&mut batch, t);
    } else {
        // A job of it lives: its own end, or the watch loop, comes first.
        return Ok(());
    }
    if apply(ops, batch, moved).await? && what == Part::All {
        moved.tasks += 1;
    }
    Ok(())
}

/// Files of tasks that are in the archive already.
async fn left(ops: &Ops, moved: &mut Moved, budget: Budget) -> Result<(), OpsError> {
    for id in shift::left(&ops.store, TASKS_A_PAGE).await? {
        let vo = cold::cold(&ops.store, id).await?.map(|t| t.vo).unwrap_or_default();
        for d in cold::datasets(&ops.store, id).await? {
            loop {
                if moved.full(budget) {
                    return Ok(());
                }
                let ids = shift::left_files(&ops.store, d.id, budget.rows).await?;
                if ids.is_empty() {
                    break;
                }
                let mut batch = Batch::new();
                shift::files(&mut batch, &ids, &vo);
                if !apply(ops, batch, moved).await? {
                    return Ok(());
                }
                moved.files += ids.len();
            }
        }
        if moved.full(budget) {
            return Ok(());
        }
        let mut batch = Batch::new();
        shift::complete(&mut batch, id);
        apply(ops, batch, moved).await?;
    }
    Ok(())
}

async fn alone(ops: &Ops, settings: &Values, moved: &mut Moved, budget: Budget) -> Result<(), OpsError> {
    let now = ops.now().0;
    let before = now - least(settings, &ARCHIVE_AFTER_DAYS).saturating_mul(DAY_US);
    let mut after = JobId(0);
    for _ in 0..PAGES_A_STEP {
        if moved.full(budget) {
            return Ok(());
        }
        let mut page = shift::alone(&ops.store, after, before + 1, budget.rows).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        page.retain(|j| now - j.state_us >= keep(settings, &j.vo, &j.label).after_days.saturating_mul(DAY_US));
        page.sort_by(|a, b| a.vo.cmp(&b.vo).then(a.id.cmp(&b.id)));
        for group in page.chunk_by(|a, b| a.vo == b.vo) {
            let ids: Vec<JobId> = group.iter().map(|j| j.id).collect();
            let mut batch = Batch::new();
            shift::jobs(&mut batch, &shift::along(&ops.store, &ids).await?, &group[0].vo);
            if apply(ops, batch, moved).await? {
                moved.jobs += ids.len();
            }
        }
    }
    Ok(())
}

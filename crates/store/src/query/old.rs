//! Records that are removed when they are old: decisions, workers, machines, the journal; and the pre-merge files of ended tasks.

use panda_core::{id::TaskId, task::state::TaskState};

use super::MAX_PAGE;
use crate::{Batch, Error, Store, statements};

statements! {
    [hot] read DECISIONS = "old.decisions", "SELECT subject_id, stage, at_us FROM decision WHERE subject_id > :after ORDER BY subject_id, stage LIMIT :n";
    [hot] write DECISION = "old.decision", "DELETE FROM decision WHERE subject_id IN (:ids*) AND at_us < :before";
    [hot] write DECISION_HISTORY = "old.decision_history", "DELETE FROM decision_history WHERE subject_id IN (:ids*) AND at_us < :before";
    [hot] read LIVE_TASKS = "old.live_tasks", "SELECT id, vo, label, state FROM task WHERE id IN (:ids*) ORDER BY id LIMIT 1000";
    [hot] read WORKERS = "old.workers", "SELECT id, modified_us FROM worker WHERE id > :after ORDER BY id LIMIT :n";
    [hot] write WORKER = "old.worker", "DELETE FROM worker WHERE id IN (:ids*) AND modified_us < :before";
    [hot] write WORKER_EVENT = "old.worker_event", "DELETE FROM worker_event WHERE worker_id IN (:ids*) AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = worker_event.worker_id AND w.id IN (:ids*))";
    [hot] write JOB_WORKER = "old.job_worker", "DELETE FROM job_worker WHERE worker_id IN (:ids*) AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = job_worker.worker_id AND w.id IN (:ids*))";
    read NODES = "old.nodes", "SELECT site, host, seen_us FROM worker_node WHERE seen_us < :before ORDER BY site, host LIMIT :n";
    [hot] write NODE = "old.node", "DELETE FROM worker_node WHERE site = :site AND host = :host AND seen_us < :before";
    [hot] read LINES = "old.lines", "SELECT id, at_us FROM journal WHERE id > :after ORDER BY id LIMIT :n";
    [hot] write LINE = "old.line", "DELETE FROM journal WHERE id IN (:ids*)";
    read COUNT_DECISIONS = "old.count_decisions", "SELECT COUNT(*), MIN(at_us) FROM decision WHERE subject_id >= :from LIMIT 1";
    read COUNT_WORKERS = "old.count_workers", "SELECT COUNT(*), MIN(modified_us) FROM worker WHERE id >= :from LIMIT 1";
    read COUNT_NODES = "old.count_nodes", "SELECT COUNT(*), MIN(seen_us) FROM worker_node WHERE site >= :from LIMIT 1";
    read COUNT_LINES = "old.count_lines", "SELECT COUNT(*), MIN(at_us) FROM journal WHERE id >= :from LIMIT 1";
    read COUNT_DIALOGS = "old.count_dialogs", "SELECT COUNT(*), MIN(at_us) FROM harvester_dialog WHERE at_us >= :from LIMIT 1";
    // Data sets of pre-merge files of ended tasks that have not been cleaned.
    [hot] read PRE_MERGE = "old.pre_merge", "SELECT t.id, t.vo, t.label, t.state_us, d.id FROM task t JOIN task_dataset d ON d.task_id = t.id WHERE t.state IN (:states*) AND t.id > :after AND t.state_us < :before AND d.role IN ('trn_output', 'trn_log') AND d.state <> 'removed' ORDER BY t.id, d.id LIMIT :n";
    [hot] read COLD_PRE_MERGE = "old.cold_pre_merge", "SELECT t.id, t.vo, t.label, t.state_us, d.id FROM task_archive t JOIN task_archive_set d ON d.task_id = t.id WHERE t.state IN (:states*) AND t.id > :after AND t.state_us < :before AND d.role IN ('trn_output', 'trn_log') AND d.state <> 'removed' ORDER BY t.id, d.id LIMIT :n";
    // Data sets that archived tasks have written to.
    [hot] read OUTPUTS = "old.outputs", "SELECT t.id, t.vo, t.label, t.state_us, d.id, d.name FROM task_archive t JOIN task_archive_set d ON d.task_id = t.id WHERE t.state IN (:states*) AND t.id > :after AND t.state_us < :before AND d.role IN ('output', 'log') AND d.state <> 'removed' ORDER BY t.id, d.id LIMIT :n";
    // Asked of each data set that is due; reads the data sets of all tasks at hand. A list of several that was cut may name any.
    read OUTPUT_USED = "old.output_used", "SELECT d.id FROM task_dataset d JOIN task t ON t.id = d.task_id WHERE t.vo = :vo AND (d.name LIKE :part OR LENGTH(d.name) >= 250) LIMIT 1";
    [hot] read OUTPUT_YOUNGER = "old.output_younger", "SELECT d.id FROM task_archive_set d JOIN task_archive t ON t.id = d.task_id WHERE d.name IN (:names*) AND d.role IN ('output', 'log') AND t.vo = :vo AND t.state_us >= :since LIMIT 1";
    [hot] write CLEANED = "old.cleaned", "UPDATE task_dataset SET state = 'removed' WHERE id = :id";
    [hot] write COLD_CLEANED = "old.cold_cleaned", "UPDATE task_archive_set SET state = 'removed' WHERE id = :id";
}

/// A row with an age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged {
    /// Number.
    pub id: i64,
    /// Microseconds UTC that the age counts from.
    pub at_us: i64,
}
/// Rows, and when the oldest is from.
pub type Sum = (i64, Option<i64>);

fn page(after: i64, n: i64) -> crate::batch::Binds {
    vec![("after", after.into()), ("n", n.min(MAX_PAGE).into())]
}
fn aged(rows: &[crate::Row]) -> Result<Vec<Aged>, Error> {
    rows.iter().map(|r| Ok(Aged { id: r.int(0)?, at_us: r.int(1)? })).collect()
}
/// Decision records of subjects above `after`; a subject's latest, by subject; at most `n` and 1,000 records are looked at.
pub async fn decisions(store: &Store, after: i64, n: i64) -> Result<Vec<Aged>, Error> {
    let rows = store.fetch(&DECISIONS, page(after, n)).await?;
    let mut all: Vec<Aged> = Vec::new();
    for r in &rows {
        let (id, at_us) = (r.int(0)?, r.int(2)?);
        match all.last_mut() {
            Some(last) if last.id == id => last.at_us = last.at_us.max(at_us),
            _ => all.push(Aged { id, at_us }),
        }
    }
    // The last subject may have more records on the next page.
    if rows.len() as i64 >= n.min(MAX_PAGE) && all.len() > 1 {
        all.pop();
    }
    Ok(all)
}
/// VO, label and state of hot tasks of these ids (at most 1,000).
pub async fn hot_tasks(store: &Store, ids: &[i64]) -> Result<Vec<(i64, String, String, String)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.fetch(&LIVE_TASKS, vec![("ids", ids.to_vec().into())]).await?;
    rows.iter().map(|r| Ok((r.int(0)?, r.text(1)?.to_owned(), r.text(2)?.to_owned(), r.text(3)?.to_owned()))).collect()
}
/// Removes the decision records of these subjects (at most 1,000) that are older than `before_us`, past ones as well.
pub fn drop_decisions(batch: &mut Batch, ids: &[i64], before_us: i64) {
    for statement in [&DECISION, &DECISION_HISTORY] {
        batch.exec(statement, vec![("ids", ids.to_vec().into()), ("before", before_us.into())]);
    }
}
/// Workers above `after`, by number; at most `n` and 1,000.
pub async fn workers(store: &Store, after: i64, n: i64) -> Result<Vec<Aged>, Error> {
    aged(&store.fetch(&WORKERS, page(after, n)).await?)
}
/// Removes those of these workers (at most 1,000) that have not changed since `before_us`, with their histories and jobs.
pub fn drop_workers(batch: &mut Batch, ids: &[i64], before_us: i64) {
    batch.exec(&WORKER, vec![("ids", ids.to_vec().into()), ("before", before_us.into())]);
    batch.exec(&WORKER_EVENT, vec![("ids", ids.to_vec().into())]);
    batch.exec(&JOB_WORKER, vec![("ids", ids.to_vec().into())]);
}
/// Machines not heard of since `before_us`: site, host, last time; at most `n` and 1,000.
pub async fn nodes(store: &Store, before_us: i64, n: i64) -> Result<Vec<(String, String, i64)>, Error> {
    let rows = store.fetch(&NODES, vec![("before", before_us.into()), ("n", n.min(MAX_PAGE).into())]).await?;
    rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned(), r.int(2)?))).collect()
}
/// Forgets a machine, unless it was heard of since `before_us`.
pub fn drop_node(batch: &mut Batch, site: &str, host: &str, before_us: i64) {
    batch.exec(&NODE, vec![("site", site.into()), ("host", host.into()), ("before", before_us.into())]);
}
/// Lines of the journal above `after`, oldest first; at most `n` and 1,000.
pub async fn lines(store: &Store, after: i64, n: i64) -> Result<Vec<Aged>, Error> {
    aged(&store.fetch(&LINES, page(after, n)).await?)
}
/// Removes lines of the journal (at most 1,000).
pub fn drop_lines(batch: &mut Batch, ids: &[i64]) {
    batch.exec(&LINE, vec![("ids", ids.to_vec().into())]);
}
/// How many decision records, workers, machines and lines of the journal there are.
pub async fn sums(store: &Store) -> Result<[Sum; 5], Error> {
    let low = || vec![("from", i64::MIN.into())];
    let mut sums = [(0, None); 5];
    for (sum, (statement, binds)) in sums.iter_mut().zip([
        (&COUNT_DECISIONS, low()),
        (&COUNT_WORKERS, low()),
        (&COUNT_NODES, vec![("from", " ".into())]),
        (&COUNT_LINES, low()),
        (&COUNT_DIALOGS, low()),
    ]) {
        if let Some(r) = store.fetch(statement, binds).await?.first() {
            *sum = (r.int(0)?, r.opt_int(1)?);
        }
    }
    Ok(sums)
}

/// A data set of pre-merge files of an ended task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreMerge {
    /// The task.
    pub task: TaskId,
    /// Its VO.
    pub vo: String,
    /// Its label.
    pub label: String,
    /// When it ended, microseconds UTC.
    pub ended_us: i64,
    /// Row of the data set.
    pub dataset: i64,
    /// Whether the task is in the archive.
    pub cold: bool,
}
/// Data sets of pre-merge files of tasks above `after` that ended before `before_us`, by task; at most `n` and 1,000.
pub async fn pre_merge(store: &Store, cold: bool, after: TaskId, before_us: i64, n: i64) -> Result<Vec<PreMerge>, Error> {
    let states: Vec<String> = TaskState::FINAL.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("after", after.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(if cold { &COLD_PRE_MERGE } else { &PRE_MERGE }, binds).await?;
    rows.iter()
        .map(|r| {
            Ok(PreMerge {
                task: TaskId(r.int(0)?),
                vo: r.text(1)?.to_owned(),
                label: r.text(2)?.to_owned(),
                ended_us: r.int(3)?,
                dataset: r.int(4)?,
                cold,
            })
        })
        .collect()
}
/// The files of a data set of pre-merge files are gone.
pub fn cleaned(batch: &mut Batch, d: &PreMerge) {
    batch.exec(if d.cold { &COLD_CLEANED } else { &CLEANED }, vec![("id", d.dataset.into())]);
}

/// A data set that an archived task has written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The task.
    pub task: TaskId,
    /// Its VO.
    pub vo: String,
    /// Its label.
    pub label: String,
    /// When it ended, microseconds UTC.
    pub ended_us: i64,
    /// Row of the task's data set.
    pub dataset: i64,
    /// Its name, as the task states it.
    pub name: String,
}
/// Data sets of archived tasks above `after` that ended before `before_us`, by task, unless they are removed; at most `n` and 1,000.
pub async fn outputs(store: &Store, after: TaskId, before_us: i64, n: i64) -> Result<Vec<Output>, Error> {
    let states: Vec<String> = TaskState::FINAL.iter().map(|s| s.as_str().to_owned()).collect();
    let binds = vec![("states", states.into()), ("after", after.into()), ("before", before_us.into()), ("n", n.min(MAX_PAGE).into())];
    let rows = store.fetch(&OUTPUTS, binds).await?;
    rows.iter()
        .map(|r| {
            Ok(Output {
                task: TaskId(r.int(0)?),
                vo: r.text(1)?.to_owned(),
                label: r.text(2)?.to_owned(),
                ended_us: r.int(3)?,
                dataset: r.int(4)?,
                name: r.text(5)?.to_owned(),
            })
        })
        .collect()
}
/// Whether a task at hand may read or write a data set of this name (without scope); when in doubt it does.
pub async fn output_used(store: &Store, vo: &str, name: &str) -> Result<bool, Error> {
    Ok(!store.fetch(&OUTPUT_USED, vec![("vo", vo.into()), ("part", format!("%{name}%").into())]).await?.is_empty())
}
/// Whether an archived task that ended since then has written to a data set of this name.
pub async fn output_younger(store: &Store, vo: &str, name: &str, since_us: i64) -> Result<bool, Error> {
    let scope = panda_core::policy::names::scope(name);
    let names = vec![name.to_owned(), format!("{name}/"), format!("{scope}:{name}"), format!("{scope}:{name}/")];
    let binds = vec![("names", names.into()), ("vo", vo.into()), ("since", since_us.into())];
    Ok(!store.fetch(&OUTPUT_YOUNGER, binds).await?.is_empty())
}
/// What a task has put into this data set is gone.
pub fn output_removed(batch: &mut Batch, o: &Output) {
    batch.exec(&COLD_CLEANED, vec![("id", o.dataset.into())]);
}

//! Archived tasks and jobs, and histories, that are removed for good.

use std::collections::BTreeMap;

use panda_core::id::JobId;
use panda_store::{
    Batch,
    query::archive::{expire, shift, task as cold},
};

use super::{A_STEP, Class, Due, Key, Page, Rules};
use crate::{Ops, OpsError};

/// Tasks of one step: each may have many jobs.
const TASKS_A_STEP: i64 = 20;

/// Archived tasks, or jobs without one, oldest first. Where a page is full the next one begins at its last time.
pub(super) async fn find(ops: &Ops, rules: &Rules<'_>, class: Class, before: i64, from: i64) -> Result<Page, OpsError> {
    let mut vos: Vec<String> = shift::sizes(&ops.store).await?.into_iter().map(|s| s.0).collect();
    vos.dedup();
    let (mut due, mut next) = (Vec::new(), None::<i64>);
    for vo in vos {
        let (n, found): (i64, Vec<(Due, String)>) = if class == Class::Tasks {
            let tasks = expire::tasks(&ops.store, &vo, from, before, TASKS_A_STEP).await?;
            let one = |t: panda_store::query::task::TaskRow| {
                let (name, label) = (format!("task/{}", t.id), t.label.clone());
                (Due { class, vo: vo.clone(), name, since_us: t.modified_us, bytes: 0, key: Key::Task(Box::new(t)) }, label)
            };
            (TASKS_A_STEP, tasks.into_iter().map(one).collect())
        } else {
            let jobs = expire::alone(&ops.store, &vo, from, before, A_STEP as i64).await?;
            let one = |j: expire::Age| {
                (Due { class, vo: j.vo, name: format!("job/{}", j.id), since_us: j.ended_us, bytes: 0, key: Key::Row(j.id.0) }, j.label)
            };
            (A_STEP as i64, jobs.into_iter().map(one).collect())
        };
        if found.len() as i64 >= n
            && let Some((last, _)) = found.last()
        {
            // The earliest end of a full page: no VO's rest is jumped over.
            next = Some(next.map_or(last.since_us, |at| at.min(last.since_us)));
        }
        due.extend(found.into_iter().filter(|(d, label)| rules.due(class, &vo, label, d.since_us)).map(|(d, _)| d));
    }
    Ok((due, next))
}

pub(super) async fn remove(ops: &Ops, class: Class, due: &[Due]) -> Result<(), OpsError> {
    if class == Class::Jobs {
        return remove_jobs(ops, due).await;
    }
    for d in due {
        let Key::Task(t) = &d.key else { continue };
        loop {
            let jobs = expire::jobs_of(&ops.store, t.id, A_STEP as i64).await?;
            if jobs.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            expire::jobs(&ops.store, &mut batch, &t.vo, &jobs).await?;
            ops.store.apply(batch).await?;
        }
        for set in cold::datasets(&ops.store, t.id).await? {
            loop {
                let files = expire::files_of(&ops.store, set.id, A_STEP as i64).await?;
                if files.is_empty() {
                    break;
                }
                let mut batch = Batch::new();
                expire::files(&mut batch, &t.vo, &files);
                ops.store.apply(batch).await?;
            }
        }
        let mut batch = Batch::new();
        expire::task(&mut batch, t);
        ops.store.apply(batch).await?;
    }
    Ok(())
}

fn by_vo(due: &[Due]) -> BTreeMap<&str, Vec<JobId>> {
    let mut by: BTreeMap<&str, Vec<JobId>> = BTreeMap::new();
    for d in due {
        if let Key::Row(id) = d.key {
            by.entry(&d.vo).or_default().push(JobId(id));
        }
    }
    by
}

async fn remove_jobs(ops: &Ops, due: &[Due]) -> Result<(), OpsError> {
    for (vo, jobs) in by_vo(due) {
        let mut batch = Batch::new();
        expire::jobs(&ops.store, &mut batch, vo, &jobs).await?;
        ops.store.apply(batch).await?;
    }
    Ok(())
}

/// Histories of archived jobs, by job.
pub(super) async fn find_histories(ops: &Ops, rules: &Rules<'_>, before: i64, from: i64) -> Result<Page, OpsError> {
    let (jobs, last) = expire::histories(&ops.store, JobId(from), A_STEP as i64).await?;
    let due = jobs.into_iter().filter(|j| j.ended_us < before && rules.due(Class::History, &j.vo, &j.label, j.ended_us));
    let due = due.map(|j| Due {
        class: Class::History,
        vo: j.vo,
        name: format!("history of job/{}", j.id),
        since_us: j.ended_us,
        bytes: 0,
        key: Key::Row(j.id.0),
    });
    Ok((due.collect(), last.map(|j| j.0)))
}

pub(super) async fn remove_histories(ops: &Ops, due: &[Due]) -> Result<(), OpsError> {
    for (vo, jobs) in by_vo(due) {
        let mut batch = Batch::new();
        expire::history(&ops.store, &mut batch, vo, &jobs).await?;
        ops.store.apply(batch).await?;
    }
    Ok(())
}

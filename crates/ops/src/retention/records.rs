//! Old records: decisions, workers, machines, the journal.

use panda_core::{
    id::{JOB_ID_MIN, JobId, TASK_ID_MIN, TaskId},
    setting::ANY,
    task::state::TaskState,
};
use panda_store::{
    Batch,
    query::{archive, harvester, job, old},
};

use super::{A_STEP, Class, Due, Key, Page, Rules};
use crate::{Ops, OpsError};

fn row(class: Class, vo: String, name: String, id: i64, since_us: i64) -> Due {
    Due { class, vo, name, since_us, bytes: 0, key: Key::Row(id) }
}

/// Decision records of tasks and jobs that have ended; those of queues are removed with what they decided.
pub(super) async fn find_decisions(ops: &Ops, rules: &Rules<'_>, from: i64) -> Result<Page, OpsError> {
    let found = old::decisions(&ops.store, from.max(TASK_ID_MIN - 1), A_STEP as i64).await?;
    let next = found.last().map(|d| d.id);
    let (jobs, tasks): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| d.id >= JOB_ID_MIN);
    let mut due = Vec::new();
    let hot = old::hot_tasks(&ops.store, &tasks.iter().map(|d| d.id).collect::<Vec<_>>()).await?;
    for d in tasks {
        let (vo, label, live) = match hot.iter().find(|t| t.0 == d.id) {
            Some((_, vo, label, state)) => (vo.clone(), label.clone(), !TaskState::parse(state).is_ok_and(TaskState::is_final)),
            None => archive::task::cold(&ops.store, TaskId(d.id)).await?.map(|t| (t.vo, t.label, false)).unwrap_or_default(),
        };
        if !live && rules.due(Class::Decisions, &vo, &label, d.at_us) {
            due.push(row(Class::Decisions, vo, format!("task/{}", d.id), d.id, d.at_us));
        }
    }
    let ids: Vec<JobId> = jobs.iter().map(|d| JobId(d.id)).collect();
    let known = archive::job::many(&ops.store, &ids).await?;
    for d in jobs {
        let j: Option<&job::JobRow> = known.iter().find(|j| j.id.0 == d.id);
        let (vo, label) = j.map(|j| (j.vo.clone(), j.label.clone())).unwrap_or_default();
        if j.is_none_or(|j| j.state.is_final()) && rules.due(Class::Decisions, &vo, &label, d.at_us) {
            due.push(row(Class::Decisions, vo, format!("job/{}", d.id), d.id, d.at_us));
        }
    }
    Ok((due, next))
}

/// Workers and lines of the journal, by number.
pub(super) async fn find_rows(ops: &Ops, rules: &Rules<'_>, class: Class, from: i64) -> Result<Page, OpsError> {
    let found = match class {
        Class::Workers => old::workers(&ops.store, from, A_STEP as i64).await?,
        _ => old::lines(&ops.store, from, A_STEP as i64).await?,
    };
    // Lines of the journal stand in the order of time: behind one that is not due none is.
    let goes_on = |r: &&old::Aged| class != Class::Journal || rules.due(class, ANY, ANY, r.at_us);
    let next = if found.len() < A_STEP { None } else { found.last().filter(goes_on).map(|r| r.id) };
    let due = found.iter().filter(|r| rules.due(class, ANY, ANY, r.at_us));
    Ok((due.map(|r| row(class, String::new(), r.id.to_string(), r.id, r.at_us)).collect(), next))
}

pub(super) async fn find_machines(ops: &Ops, before: i64) -> Result<Page, OpsError> {
    let found = old::nodes(&ops.store, before, A_STEP as i64).await?;
    // What is found goes: the next page is the first one again.
    let next = (found.len() >= A_STEP).then_some(0);
    let one = |(site, host, since_us): (String, String, i64)| Due {
        class: Class::Machines,
        vo: String::new(),
        name: format!("{host} of {site}"),
        since_us,
        bytes: 0,
        key: Key::Machine(site, host),
    };
    Ok((found.into_iter().map(one).collect(), next))
}

/// Messages, measurements and commands; the number of each is its kind.
pub(super) async fn find_harvesters(ops: &Ops, before: i64) -> Result<Page, OpsError> {
    let found = harvester::old(&ops.store, before, A_STEP as i64).await?;
    let next = found.iter().any(|kind| kind.len() >= A_STEP).then_some(0);
    let names = ["messages of Harvesters", "measurements of Harvesters", "commands to Harvesters"];
    let mut due = Vec::new();
    for (kind, (times, name)) in found.iter().zip(names).enumerate() {
        due.extend(times.iter().map(|at| row(Class::Harvesters, String::new(), name.to_owned(), kind as i64, *at)));
    }
    Ok((due, next))
}

pub(super) async fn remove(ops: &Ops, class: Class, due: &[Due]) -> Result<(), OpsError> {
    let ids: Vec<i64> = due.iter().filter_map(|d| if let Key::Row(id) = d.key { Some(id) } else { None }).collect();
    // What has changed since it was found stays.
    let before = due.iter().map(|d| d.since_us).max().unwrap_or(0) + 1;
    let mut batch = Batch::new();
    match class {
        Class::Decisions => old::drop_decisions(&mut batch, &ids, before),
        Class::Workers => old::drop_workers(&mut batch, &ids, before),
        Class::Journal => old::drop_lines(&mut batch, &ids),
        Class::Harvesters => {
            let of = |kind: i64| due.iter().filter(|d| d.key == Key::Row(kind)).map(|d| d.since_us).collect();
            harvester::drop_old(&mut batch, &[of(0), of(1), of(2)]);
        }
        _ => {
            for d in due {
                if let Key::Machine(site, host) = &d.key {
                    old::drop_node(&mut batch, site, host, d.since_us + 1);
                }
            }
        }
    }
    ops.store.apply(batch).await.map_err(Into::into)
}

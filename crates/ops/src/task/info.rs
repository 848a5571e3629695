//! Everything about tasks, in upstream's attribute names: one, the parent of one, and filtered lists (`spec/client.md` section 6,
//! `spec/api_v1.md` section 13).

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{id::TaskId, task::state::TaskState};
use panda_store::query::{
    archive, person,
    task::{TaskRow, dataset::TaskDataset},
};
use panda_wire::datetime;
use serde_json::{Map, Value};

use super::{columns, filter::Filters, read::seen};
use crate::{Ops, OpsError};

/// Most tasks that one call answers.
pub const MAX_TASKS: usize = 1_000;
/// Most tasks that one call looks at while it filters.
pub const MAX_SCANNED: usize = 20_000;
/// How far back `get_tasks_modified_since` looks at most (upstream's limit), microseconds.
const MAX_AGE_US: i64 = 30 * 86_400 * 1_000_000;
/// Tasks read at a time.
const PAGE: i64 = 200;
/// Most tasks with statistics in one answer of `get_tasks_modified_since` (upstream's limit).
const MAX_FULL: usize = 500;

/// Everything about one task.
pub async fn detailed(ops: &Ops, who: &Principal, id: TaskId) -> Result<Value, OpsError> {
    let missing = || OpsError::NotFound("Task not found or error retrieving task info".into());
    let row = seen(ops, who, id).await?.ok_or_else(missing)?;
    Ok(full(ops, vec![row]).await?.pop().unwrap_or_default())
}

/// Everything about a task's parent.
pub async fn parent_detailed(ops: &Ops, who: &Principal, id: TaskId) -> Result<Value, OpsError> {
    let missing = |text: &str| OpsError::NotFound(text.into());
    let child = seen(ops, who, id).await?.ok_or_else(|| missing("Child task not found"))?;
    let parent = child.parent_id.ok_or_else(|| missing("No parent task found"))?;
    let row = seen(ops, who, parent).await?.ok_or_else(|| missing("Parent task not found"))?;
    Ok(full(ops, vec![row]).await?.pop().unwrap_or_default())
}

/// Tasks changed since a time (`YYYY-MM-DD HH:MM:SS`), newest first, filtered by attributes. Only the caller's own unless the filters name
/// `userName`; the time does not count when they name a task. At most `n` and [`MAX_TASKS`], out of at most [`MAX_SCANNED`].
pub async fn detailed_since(
    ops: &Ops,
    who: &Principal,
    since: Option<&str>,
    filters: Option<&str>,
    n: i64,
) -> Result<Vec<Value>, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let filters = Filters::parse(filters)?;
    let most = usize::try_from(n).unwrap_or(0).min(MAX_TASKS);
    let since_us = since.filter(|s| !s.trim().is_empty()).map(time).transpose()?.unwrap_or(0);
    let people = people(ops, who, filters.user_name()).await?;
    if let Some(ids) = filters.task_ids() {
        let mut rows = Vec::new();
        for id in ids.into_iter().take(most) {
            rows.extend(seen(ops, who, TaskId(id)).await?.filter(|t| people.contains(&t.person_id)));
        }
        return matching(ops, rows, &filters).await;
    }
    let mut found = Vec::new();
    for person in people {
        let (mut before, mut scanned) = (TaskId(i64::MAX), 0);
        while found.len() < most && scanned < MAX_SCANNED {
            let page = archive::task::of_person_page(&ops.store, person, since_us, before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = last.id;
            scanned += page.len();
            found.extend(matching(ops, visible(ops, who, page).await?, &filters).await?);
        }
    }
    found.truncate(most);
    Ok(found)
}

/// `{reqID: {…}}` of a person's tasks changed since a time; `full` adds counts of files.
pub async fn modified_since(
    ops: &Ops,
    who: &Principal,
    since: &str,
    dn: Option<&str>,
    with_statistics: bool,
    min_task_id: Option<i64>,
    label: &str,
) -> Result<Value, OpsError> {
    table::allowed(Right::Read, Some(who), None)?;
    let since_us = time(since)?.max(ops.now().0 - MAX_AGE_US);
    let most = if with_statistics { MAX_FULL } else { MAX_TASKS };
    let mut rows = Vec::new();
    for person in people(ops, who, dn).await? {
        let fits = |t: &TaskRow| t.label == label && min_task_id.is_none_or(|min| t.id.0 >= min);
        let page = archive::task::of_person_page(&ops.store, person, since_us, TaskId(i64::MAX), panda_store::query::MAX_PAGE).await?;
        rows.extend(visible(ops, who, page).await?.into_iter().filter(fits));
    }
    rows.truncate(most);
    let mut answer = Map::new();
    for info in full(ops, rows).await? {
        let keys = [
            "jediTaskID",
            "modificationTime",
            "status",
            "processingType",
            "transUses",
            "transHome",
            "architecture",
            "reqID",
            "creationDate",
            "site",
            "cloud",
            "taskName",
        ];
        let more = ["nFiles", "nFilesFinished", "nFilesFailed", "pctFinished", "pctFailed"];
        let more = more.iter().filter(|_| with_statistics);
        let short: Map<String, Value> =
            keys.iter().chain(more).map(|k| ((*k).to_owned(), info.get(*k).cloned().unwrap_or_default())).collect();
        answer.insert(info.get("reqID").map(Value::to_string).unwrap_or_default(), Value::Object(short));
    }
    Ok(Value::Object(answer))
}

/// Rows of the people meant: those shown under `name`, or the caller.
async fn people(ops: &Ops, who: &Principal, name: Option<&str>) -> Result<Vec<i64>, OpsError> {
    match name.filter(|n| !n.is_empty()) {
        Some(name) => {
            // A subject text (`<Name>/CN=nickname:<nick>`) names the same person.
            let shown = panda_access::clean_name(name);
            let mut people = person::by_name(&ops.store, name).await?;
            if people.is_empty() && shown != name {
                people = person::by_name(&ops.store, &shown).await?;
            }
            Ok(people.into_iter().map(|p| p.id).collect())
        }
        None => Ok(vec![ops.person(who).await?.id]),
    }
}

/// Those of the tasks that the caller may see.
async fn visible(ops: &Ops, who: &Principal, rows: Vec<TaskRow>) -> Result<Vec<TaskRow>, OpsError> {
    let mut kept = Vec::with_capacity(rows.len());
    for t in rows {
        if ops.sees(who, &t.vo, t.person_id).await? {
            kept.push(t);
        }
    }
    Ok(kept)
}

/// The tasks that the filters let through, whole. Cheap attributes are looked at before documents are read.
async fn matching(ops: &Ops, rows: Vec<TaskRow>, filters: &Filters) -> Result<Vec<Value>, OpsError> {
    let mut kept = Vec::new();
    for row in rows {
        let owner = ops.person_by_id(row.person_id).await?.name.clone();
        if filters.may_match(&basic(&row, &owner)) {
            kept.push(row);
        }
    }
    Ok(full(ops, kept).await?.into_iter().filter(|info| info.as_object().is_some_and(|i| filters.matches(i))).collect())
}

/// Whole descriptions, in order.
async fn full(ops: &Ops, rows: Vec<TaskRow>) -> Result<Vec<Value>, OpsError> {
    let mut answer = Vec::with_capacity(rows.len());
    let types = ops.resource_types().await?;
    for chunk in rows.chunks(usize::try_from(PAGE).unwrap_or(1)) {
        let ids: Vec<TaskId> = chunk.iter().map(|t| t.id).collect();
        let docs = archive::task::docs(&ops.store, &ids).await?;
        let mut docs: BTreeMap<TaskId, (String, Option<String>)> = docs.into_iter().map(|(id, p, a)| (id, (p, a))).collect();
        let mut datasets: BTreeMap<TaskId, Vec<TaskDataset>> = BTreeMap::new();
        for d in archive::task::datasets_of(&ops.store, &ids).await? {
            datasets.entry(d.task_id).or_default().push(d);
        }
        for row in chunk {
            let owner = ops.person_by_id(row.person_id).await?.name.clone();
            let mut info = basic(row, &owner);
            progress(ops, &mut info, datasets.get(&row.id).map(Vec::as_slice).unwrap_or_default()).await?;
            let (params, adjust) = docs.remove(&row.id).unwrap_or_default();
            columns::add(&mut info, row, &params, adjust.as_deref(), &types);
            answer.push(Value::Object(info));
        }
    }
    Ok(answer)
}

/// What the task's row says.
fn basic(t: &TaskRow, owner: &str) -> Map<String, Value> {
    let time = |us: Option<i64>| us.map_or(Value::Null, datetime::marker);
    let mut m = Map::with_capacity(80);
    let mut put = |key: &str, value: Value| drop(m.insert(key.to_owned(), value));
    put("jediTaskID", t.id.0.into());
    put("reqID", t.id.0.into());
    put("taskName", t.name.clone().into());
    put("status", t.state.as_str().into());
    put("superStatus", super_status(t.state).into());
    put("oldStatus", t.prev_state.map(TaskState::as_str).into());
    put("userName", owner.into());
    put("vo", t.vo.clone().into());
    put("prodSourceLabel", t.label.clone().into());
    put("workingGroup", t.working_group.clone().into());
    put("processingType", t.processing_type.clone().into());
    put("taskPriority", t.priority.into());
    put("currentPriority", t.priority.into());
    put("parent_tid", t.parent_id.map_or(t.id.0, |p| p.0).into());
    put("attemptNr", t.attempt.into());
    put("errorDialog", t.reason.clone().into());
    put("creationDate", datetime::marker(t.created_us));
    put("modificationTime", datetime::marker(t.modified_us));
    put("startTime", time(t.started_us));
    put("endTime", time(t.ended_us));
    put("stateChangeTime", datetime::marker(t.state_us));
    m
}

/// The coarse state that lists are filtered by: of a live task how far it is, else its end.
fn super_status(state: TaskState) -> &'static str {
    use TaskState::{Assigning, Defined, Ready, Registered, Staging, Waiting};
    match state {
        s if s.is_final() => s.as_str(),
        Waiting | Registered | Staging => "registered",
        Defined | Assigning => "submitting",
        Ready => "ready",
        _ => "running",
    }
}

/// Counts of the master inputs.
async fn progress(ops: &Ops, m: &mut Map<String, Value>, datasets: &[TaskDataset]) -> Result<(), OpsError> {
    let masters = || datasets.iter().filter(|d| d.is_master);
    let sum = |of: fn(&TaskDataset) -> i64| masters().map(of).sum::<i64>();
    let (all, finished, failed) = (sum(|d| d.n_files), sum(|d| d.n_finished), sum(|d| d.n_failed));
    let mut missing = 0;
    for d in masters().filter(|d| d.state == "missing") {
        let counts = archive::task::count_files(&ops.store, d.id).await?;
        missing += counts.iter().filter(|(state, _)| state == "missing").map(|(_, n)| n).sum::<i64>();
    }
    let percent = |n: i64| if all > 0 { n * 100 / all } else { 0 };
    for (key, value) in [
        ("nFiles", all),
        ("nFilesFinished", finished),
        ("nFilesFailed", failed),
        ("nFilesMissing", missing),
        ("nFilesUsed", sum(|d| d.n_used)),
        ("nFilesOnHold", sum(|d| d.n_on_hold)),
        ("nEvents", sum(|d| d.n_events)),
        ("pctFinished", percent(finished)),
        ("pctFailed", percent(failed)),
    ] {
        m.insert(key.to_owned(), value.into());
    }
    Ok(())
}

fn time(text: &str) -> Result<i64, OpsError> {
    datetime::parse(text).ok_or_else(|| OpsError::refused(format!("since: `{text}` is no time; give YYYY-MM-DD HH:MM:SS, UTC")))
}

#[cfg(test)]
#[path = "info_tests.rs"]
mod tests;

//! What a task is and holds, in the shapes of the API (`spec/api_v1.md` section 13).

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
};
use panda_store::query::{
    archive,
    task::{TaskRow, dataset::TaskDataset},
};
use serde_json::{Map, Value, json};

use crate::{Ops, OpsError};

/// Most jobs of one task that a list names; a task of more is looked at page by page in the monitor.
pub const MAX_JOBS: usize = 200_000;
/// Most files that one call lists.
pub const MAX_FILES: usize = 100_000;
/// Text for a task that does not exist; clients compare it.
pub const NOT_FOUND: &str = "Task not found";

/// The row of a task; [`OpsError::NotFound`] with upstream's text.
pub(crate) async fn row(ops: &Ops, who: &Principal, id: TaskId) -> Result<TaskRow, OpsError> {
    seen(ops, who, id).await?.ok_or_else(|| OpsError::NotFound(NOT_FOUND.into()))
}

/// The row of a task that the caller may see: one of another VO is as if it were not there.
pub(crate) async fn seen(ops: &Ops, who: &Principal, id: TaskId) -> Result<Option<TaskRow>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    let Some(t) = archive::task::find(&ops.store, id).await? else { return Ok(None) };
    Ok(ops.sees(who, &t.vo, t.person_id).await?.then_some(t))
}

/// The state's word.
pub async fn status(ops: &Ops, who: &Principal, id: TaskId) -> Result<&'static str, OpsError> {
    Ok(row(ops, who, id).await?.state.as_str())
}

/// The parameters as stored, an object.
pub async fn parameters(ops: &Ops, who: &Principal, id: TaskId) -> Result<Value, OpsError> {
    row(ops, who, id).await?;
    let text = archive::task::params(&ops.store, id).await?.ok_or_else(|| OpsError::NotFound(NOT_FOUND.into()))?;
    serde_json::from_str(&text).map_err(|e| OpsError::Internal(format!("the parameters of task {id} are no JSON: {e}")))
}

/// Numbers of the task's jobs, at most [`MAX_JOBS`].
pub async fn job_ids(ops: &Ops, who: &Principal, id: TaskId) -> Result<Vec<i64>, OpsError> {
    if seen(ops, who, id).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut ids = Vec::new();
    let mut after = JobId(0);
    loop {
        let page = archive::job::ids_of_task(&ops.store, id, after, PAGE).await?;
        ids.extend(page.iter().map(|j| j.0));
        match page.last() {
            Some(last) if page.len() as i64 >= PAGE && ids.len() < MAX_JOBS => after = *last,
            _ => return Ok(ids),
        }
    }
}

/// Jobs read at a time.
const PAGE: i64 = 10_000;

async fn brief(ops: &Ops, id: TaskId) -> Result<Vec<(JobId, JobState, JobKind)>, OpsError> {
    let mut all = Vec::new();
    let mut after = JobId(0);
    loop {
        let page = archive::job::brief_of_task(&ops.store, id, after, PAGE).await?;
        let (full, last) = (page.len() as i64 >= PAGE, page.last().map(|j| j.0));
        all.extend(page);
        match last {
            Some(last) if full && all.len() < MAX_JOBS => after = last,
            _ => return Ok(all),
        }
    }
}

/// `{"inDS", "outDS", "statistics", "PandaID", "mergeStatus", "mergePandaID"[, "status"][, "cliParams"]}`.
pub async fn details(ops: &Ops, who: &Principal, id: TaskId, parameters: bool, status: bool) -> Result<Value, OpsError> {
    let task = row(ops, who, id).await?;
    let datasets = archive::task::datasets(&ops.store, id).await?;
    let jobs = brief(ops, id).await?;
    let (merges, runs): (Vec<_>, Vec<_>) = jobs.iter().partition(|j| j.2.is_merge());
    let mut answer = Map::new();
    answer.insert("inDS".into(), names(&datasets, FileRole::Input).into());
    answer.insert("outDS".into(), names(&datasets, FileRole::Output).into());
    answer.insert("statistics".into(), statistics(&datasets, &runs).into());
    answer.insert("PandaID".into(), runs.iter().map(|j| j.0.0).collect());
    answer.insert("mergeStatus".into(), merge_status(&merges).into());
    answer.insert("mergePandaID".into(), merges.iter().map(|j| j.0.0).collect());
    if status {
        answer.insert("status".into(), task.state.as_str().into());
    }
    if parameters {
        let text = archive::task::params(&ops.store, id).await?.unwrap_or_default();
        let params: Value = serde_json::from_str(&text).unwrap_or_default();
        answer.insert("cliParams".into(), params.get("cliParams").cloned().unwrap_or_default());
    }
    Ok(Value::Object(answer))
}

fn names(datasets: &[TaskDataset], role: FileRole) -> String {
    let mut names: Vec<&str> = datasets.iter().filter(|d| d.role == role).map(|d| d.name.as_str()).collect();
    names.dedup();
    names.join(",")
}

/// `finished*3,running*2,tobegenerated*5`: jobs by state, and files that no job has taken.
fn statistics(datasets: &[TaskDataset], jobs: &[&(JobId, JobState, JobKind)]) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for job in jobs {
        *counts.entry(job.1.as_str()).or_default() += 1;
    }
    let waiting: i64 = datasets.iter().filter(|d| d.is_master).map(|d| (d.n_files - d.n_used).max(0)).sum();
    if waiting > 0 {
        counts.insert("tobegenerated", waiting);
    }
    counts.iter().map(|(state, n)| format!("{state}*{n}")).collect::<Vec<_>>().join(",")
}

fn merge_status(merges: &[&(JobId, JobState, JobKind)]) -> Option<&'static str> {
    if merges.is_empty() {
        None
    } else if merges.iter().any(|j| !j.1.is_final()) {
        Some("running")
    } else if merges.iter().any(|j| j.1 == JobState::Finished) {
        Some("finished")
    } else {
        Some("failed")
    }
}

/// `[{"dataset": {"name", "id"}, "files": [{"lfn", "scope", "id", "status"}]}]` for data sets of these roles; `only` leaves the files out.
pub async fn datasets_and_files(ops: &Ops, who: &Principal, id: TaskId, roles: &[String], only: bool) -> Result<Vec<Value>, OpsError> {
    let mut left = MAX_FILES;
    let mut answer = Vec::new();
    let none = || OpsError::NotFound("No data found for the task".into());
    seen(ops, who, id).await?.ok_or_else(none)?;
    for d in archive::task::datasets(&ops.store, id).await? {
        if !roles.iter().any(|r| r == d.role.as_str()) {
            continue;
        }
        let files = if only { Vec::new() } else { files(ops, &d, &mut left).await? };
        answer.push(json!({"dataset": {"name": d.name, "id": d.id}, "files": files}));
    }
    if answer.is_empty() {
        return Err(none());
    }
    Ok(answer)
}

async fn files(ops: &Ops, d: &TaskDataset, left: &mut usize) -> Result<Vec<Value>, OpsError> {
    let line =
        |lfn: &str, scope: Option<&str>, id: i64, state: FileState| json!({"lfn": lfn, "scope": scope, "id": id, "status": state.as_str()});
    let mut lines = Vec::new();
    let mut after = 0;
    while *left > 0 {
        let n = i64::try_from(*left).unwrap_or(i64::MAX).min(panda_store::query::MAX_PAGE);
        let page: Vec<(i64, Value)> = if d.role.is_input() {
            let files = archive::task::files(&ops.store, d.id, after, n).await?;
            files.iter().map(|f| (f.seq, line(&f.lfn, f.scope.as_deref(), f.id, f.state))).collect()
        } else {
            let files = archive::job::files_of_dataset(&ops.store, d.id, FileState::ALL, after, n).await?;
            files.iter().map(|f| (f.id, line(&f.lfn, f.scope.as_deref(), f.id, f.state))).collect()
        };
        let Some(last) = page.last() else { break };
        after = last.0;
        *left = left.saturating_sub(page.len());
        lines.extend(page.into_iter().map(|p| p.1));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::task::state::TaskState;

    #[tokio::test]
    async fn details_of_a_running_task() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let id = w.task(&alice(), TaskState::Running, r#"{"cliParams":"prun x"}"#).await;
        w.dataset(id, FileRole::Input, 0, &[("a", FileState::Finished), ("b", FileState::Ready)]).await;
        w.dataset(id, FileRole::Output, 1, &[]).await;
        let j = w.job(&alice(), Some(id), q, JobState::Finished).await;
        let got = details(&w.ops, &bob(), id, true, true).await.unwrap();
        let want = json!({
            "inDS": "user.alice.input0", "outDS": "user.alice.output1", "statistics": "finished*1,tobegenerated*1",
            "PandaID": [j.0], "mergeStatus": null, "mergePandaID": [], "status": "running", "cliParams": "prun x"
        });
        assert_eq!(got, want);
        assert_eq!(job_ids(&w.ops, &bob(), id).await.unwrap(), [j.0]);
        assert_eq!(status(&w.ops, &bob(), id).await.unwrap(), "running");
        assert_eq!(parameters(&w.ops, &bob(), id).await.unwrap()["cliParams"], "prun x");
        let missing = status(&w.ops, &bob(), TaskId(1)).await.unwrap_err();
        assert_eq!(missing.to_string(), "Task not found");
    }

    #[tokio::test]
    async fn files_by_role() {
        let w = World::new().await;
        let id = w.task(&alice(), TaskState::Running, "{}").await;
        let d = w.dataset(id, FileRole::Input, 0, &[("a", FileState::Finished)]).await;
        let roles = ["input".to_owned(), "pseudo_input".to_owned()];
        let got = datasets_and_files(&w.ops, &bob(), id, &roles, false).await.unwrap();
        assert_eq!(got[0]["dataset"], json!({"name": "user.alice.input0", "id": d}));
        assert_eq!((&got[0]["files"][0]["lfn"], &got[0]["files"][0]["status"]), (&"a".into(), &"finished".into()));
        assert_eq!(datasets_and_files(&w.ops, &bob(), id, &roles, true).await.unwrap()[0]["files"], json!([]));
        let none = datasets_and_files(&w.ops, &bob(), id, &["log".into()], false).await.unwrap_err();
        assert_eq!(none.to_string(), "No data found for the task");
    }
}

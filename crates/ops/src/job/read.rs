//! States and descriptions of jobs, in the shapes of the API (`spec/api_v1.md` sections 8, 10 and 13).

use std::collections::HashMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
};
use panda_store::query::{
    archive,
    job::{JobRow, file::JobFile},
};
use serde_json::{Map, Value, json};

use super::describe::{Parts, describe};
use crate::{Ops, OpsError, json as text, task};

/// Most jobs that one call describes; more are left out, as upstream does.
pub const MAX_DESCRIBED: usize = 5_500;
/// Most jobs whose state one call asks.
pub const MAX_ASKED: usize = 10_000;
/// Jobs read at a time.
const CHUNK: usize = 500;

/// Those of these jobs that the caller may see.
async fn rows(ops: &Ops, who: &Principal, ids: &[JobId]) -> Result<HashMap<JobId, JobRow>, OpsError> {
    let mut found = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let jobs = visible(ops, who, archive::job::many(&ops.store, chunk).await?).await?;
        found.extend(jobs.into_iter().map(|j| (j.id, j)));
    }
    Ok(found)
}

async fn visible(ops: &Ops, who: &Principal, jobs: Vec<JobRow>) -> Result<Vec<JobRow>, OpsError> {
    let mut kept = Vec::with_capacity(jobs.len());
    for j in jobs {
        if ops.sees(who, &j.vo, j.person_id).await? {
            kept.push(j);
        }
    }
    Ok(kept)
}

fn bounded(ids: &[JobId]) -> Result<(), OpsError> {
    if ids.len() > MAX_ASKED {
        return Err(OpsError::refused(format!("{} jobs in one call; ask for at most {MAX_ASKED}", ids.len())));
    }
    Ok(())
}

/// The row of a job that the caller may see: one of another VO is as if it were not there.
pub(crate) async fn seen(ops: &Ops, who: &Principal, id: JobId) -> Result<Option<JobRow>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    let Some(j) = archive::job::find(&ops.store, id).await? else { return Ok(None) };
    Ok(ops.sees(who, &j.vo, j.person_id).await?.then_some(j))
}

/// [`seen`], or that there is no such job.
pub(crate) async fn row(ops: &Ops, who: &Principal, id: JobId) -> Result<JobRow, OpsError> {
    seen(ops, who, id).await?.ok_or_else(|| OpsError::NotFound(format!("job {id} not found")))
}

/// `job/get_status`: `{"status", "command"}` a job, in order; what is unknown is to be killed.
pub async fn statuses(ops: &Ops, who: &Principal, ids: &[JobId]) -> Result<Vec<Value>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    bounded(ids)?;
    let found = rows(ops, who, ids).await?;
    let answer = ids.iter().map(|id| match found.get(id) {
        Some(j) => json!({"status": j.state.as_str(), "command": j.command}),
        None => json!({"status": "unknown", "command": super::kill::TO_BE_KILLED}),
    });
    Ok(answer.collect())
}

/// `pilot/get_job_status`: `{"job_id", "status", "attempt_number"}` a job, in order.
pub async fn pilot_statuses(ops: &Ops, who: &Principal, ids: &[JobId]) -> Result<Vec<Value>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    bounded(ids)?;
    let found = rows(ops, who, ids).await?;
    let answer = ids.iter().map(|id| match found.get(id) {
        Some(j) => json!({"job_id": id.0, "status": j.state.as_str(), "attempt_number": j.attempt}),
        None => json!({"job_id": id.0, "status": "not found", "attempt_number": 0}),
    });
    Ok(answer.collect())
}

/// `job/get_description` and `job/get_description_incl_archive`: a description a job, null for what is unknown. Both look at live jobs
/// first and then in the archive.
pub async fn descriptions(ops: &Ops, who: &Principal, ids: &[JobId]) -> Result<Vec<Value>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    let ids = &ids[..ids.len().min(MAX_DESCRIBED)];
    let mut answer = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let jobs = visible(ops, who, archive::job::many(&ops.store, chunk).await?).await?;
        let mut described: HashMap<JobId, Value> = jobs.iter().map(|j| j.id).zip(described(ops, &jobs).await?).collect();
        answer.extend(chunk.iter().map(|id| described.remove(id).unwrap_or_default()));
    }
    Ok(answer)
}

/// `task/get_job_descriptions`: a task's jobs with `jobDuration` (seconds) and a label that says what each is for.
pub async fn of_task(ops: &Ops, who: &Principal, task: TaskId, unsuccessful_only: bool) -> Result<Vec<Value>, OpsError> {
    if task::read::seen(ops, who, task).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut answer = Vec::new();
    let mut after = JobId(0);
    while answer.len() < MAX_DESCRIBED {
        let n = i64::try_from(CHUNK.min(MAX_DESCRIBED - answer.len())).unwrap_or(1);
        let mut jobs = archive::job::of_task(&ops.store, task, after, n).await?;
        let Some(last) = jobs.last() else { break };
        after = last.id;
        jobs.retain(|j| !unsuccessful_only || (j.state.is_final() && j.state != JobState::Finished));
        let found = described(ops, &jobs).await?;
        answer.extend(jobs.iter().zip(found).map(|(j, d)| with_duration(j, d, ops.now().0)));
    }
    Ok(answer)
}

fn with_duration(j: &JobRow, mut description: Value, now: i64) -> Value {
    let duration = j.started_us.map(|start| (j.ended_us.unwrap_or(now) - start).max(0) / 1_000_000);
    let kind = match j.kind {
        JobKind::Build => "build",
        JobKind::Merge | JobKind::EsMerge => "pmerge",
        _ => "normal",
    };
    let class = if j.label == "managed" { "managed" } else { "user" };
    if let Value::Object(m) = &mut description {
        m.insert("jobDuration".into(), duration.into());
        m.insert("job_label".into(), format!("{class}_{kind}").into());
    }
    description
}

/// Descriptions of these jobs (at most 1,000), in order.
async fn described(ops: &Ops, jobs: &[JobRow]) -> Result<Vec<Value>, OpsError> {
    let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    let mut docs: HashMap<JobId, (String, String)> = HashMap::new();
    docs.extend(archive::job::docs(&ops.store, &ids).await?.into_iter().map(|(id, own, common)| (id, (own, common))));
    let mut ends: HashMap<JobId, String> = archive::job::ends(&ops.store, &ids).await?.into_iter().collect();
    let mut files: HashMap<JobId, Vec<JobFile>> = HashMap::new();
    for f in archive::job::files_of(&ops.store, &ids).await? {
        files.entry(f.job_id).or_default().push(f);
    }
    let queues = ops.queues().await?;
    let mut answer = Vec::with_capacity(jobs.len());
    for j in jobs {
        let owner = ops.person_by_id(j.person_id).await?;
        let (own, common) = docs.remove(&j.id).unwrap_or_default();
        let files = files.remove(&j.id).unwrap_or_default();
        let lane = j.queue_id.and_then(|q| queues.lanes.get(&q)).and_then(|l| l.iter().find(|l| Some(l.id) == j.lane_id));
        answer.push(describe(&Parts {
            job: j,
            owner: &owner.name,
            queue: j.queue_id.and_then(|q| queues.by_id.get(&q)).map(|q| q.name.as_str()),
            share: lane.map(|l| l.share.as_str()),
            dictionary: object(&text::join(&[&common, &own])),
            files: &files,
            end: object(&ends.remove(&j.id).unwrap_or_default()),
        }));
    }
    Ok(answer)
}

fn object(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// `job/get_metadata_for_analysis_jobs`: `{PandaID: metadata}` of a task's jobs that left some; empty when none did.
pub async fn metadata(ops: &Ops, who: &Principal, task: TaskId) -> Result<Map<String, Value>, OpsError> {
    if task::read::seen(ops, who, task).await?.is_none() {
        return Ok(Map::new());
    }
    let mut answer = Map::new();
    let mut after = JobId(0);
    while answer.len() < MAX_DESCRIBED {
        let ids = archive::job::ids_of_task(&ops.store, task, after, panda_store::query::MAX_PAGE).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        for (id, meta) in archive::job::meta_of(&ops.store, &ids).await? {
            let meta = serde_json::from_str(&meta).unwrap_or(Value::String(meta));
            answer.insert(id.0.to_string(), meta);
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, bob};
    use panda_core::task::state::TaskState;
    use panda_store::{Batch, query::job};

    #[tokio::test]
    async fn states_are_aligned_with_the_question() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let j = w.job(&alice(), None, q, JobState::Running).await;
        let ids = [JobId(7), j];
        let got = statuses(&w.ops, &bob(), &ids).await.unwrap();
        assert_eq!(json!(got), json!([{"status": "unknown", "command": "tobekilled"}, {"status": "running", "command": null}]));
        let got = pilot_statuses(&w.ops, &bob(), &ids).await.unwrap();
        let want = json!([
            {"job_id": 7, "status": "not found", "attempt_number": 0},
            {"job_id": j.0, "status": "running", "attempt_number": 0}
        ]);
        assert_eq!(json!(got), want);
    }

    #[tokio::test]
    async fn descriptions_have_every_attribute() {
        let w = World::new().await;
        let q = w.queue("LOCAL").await;
        let t = w.task(&alice(), TaskState::Running, "{}").await;
        let j = w.job(&alice(), Some(t), q, JobState::Finished).await;
        let mut batch = Batch::new();
        let end = r#"{"errors":{"exe_error_diag":"d"},"metrics":{"max_rss":5}}"#;
        job::report::set_end(&mut batch, j, Some(end), Some(r#"{"a":1}"#));
        w.ops.store.apply(batch).await.unwrap();
        let got = descriptions(&w.ops, &bob(), &[j, JobId(3)]).await.unwrap();
        assert_eq!(got[0].as_object().unwrap().len(), 127);
        let part = |keys: &[&str]| keys.iter().map(|k| got[0][*k].clone()).collect::<Value>();
        let keys =
            ["PandaID", "jediTaskID", "jobStatus", "computingSite", "gshare", "jobParameters", "maxRSS", "exeErrorDiag", "prodUserName"];
        assert_eq!(part(&keys), json!([j.0, t.0, "finished", "LOCAL", "Undefined", "x", 5, "d", "alice"]));
        assert_eq!(got[1], Value::Null);
        let got = of_task(&w.ops, &bob(), t, false).await.unwrap();
        assert_eq!((got.len(), &got[0]["job_label"]), (1, &"user_normal".into()));
        assert!(of_task(&w.ops, &bob(), t, true).await.unwrap().is_empty());
        assert_eq!(Value::Object(metadata(&w.ops, &bob(), t).await.unwrap()), json!({j.0.to_string(): {"a": 1}}));
    }
}

//! Jumbo jobs and clones of a live task, turned on and off by its parameters (`spec/api_v1.md` section 13): jobs to come follow them, those that there
//! are stay what they are.

use std::collections::BTreeMap;

use panda_access::{Principal, Right, table};
use panda_core::{
    id::TaskId,
    task::command::{CODE_REGISTERED, Command, allowed},
};
use panda_store::query::{
    MAX_PAGE, archive,
    task::{self, page},
};
use panda_wire::TaskParameters;
use serde_json::{Map, Value};

use super::{
    command::{self, Answer, not_found, owned},
    params,
    plan::MOST_SHARING,
};
use crate::{Ops, OpsError};

/// Jobs of a set of clones, and queues that they are spread over, when nobody says.
pub const CLONES: i64 = 2;
/// Most tasks that [`jumbo_datasets`] looks at.
const MAX_LOOKED: usize = 20_000;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Most days back: what is older is archived.
const MAX_DAYS: i64 = 3_650;

/// Lets a task have so many jumbo jobs, at a queue so many of them; 0 ends it. A task that waits for its scouts waits no longer.
///
/// # Errors
/// The task is none of the event service; numbers that make no sense.
pub async fn jumbo(ops: &Ops, who: &Principal, id: TaskId, total: i64, at_a_queue: Option<i64>) -> Result<Answer, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    let Some(before) = owned(ops, who, Right::TaskSteer, id).await? else { return Ok(not_found(id)) };
    bounded("jumbo_jobs_total", total, 0)?;
    if let Some(n) = at_a_queue {
        bounded("jumbo_jobs_per_site", n, 1)?;
    }
    let service = |p: &TaskParameters| p.n_events_per_worker.is_some_and(|n| n > 0) && !clones(p);
    if total > 0 && !service(&parameters(ops, id).await?) {
        let why = "jumbo jobs take ranges of events, and the jobs of task";
        return Err(OpsError::refused(format!("{why} {id} have none; submit it with `nEventsPerWorker`")));
    }
    let per_site = at_a_queue.filter(|_| total > 0).map_or(Value::Null, Value::from);
    let number = if total > 0 { Value::from(total) } else { Value::Null };
    let changes = Map::from_iter([("nJumboJobs".to_owned(), number), ("maxJumboPerSite".to_owned(), per_site)]);
    params::change(ops, who, id, &changes, &format!("nJumboJobs={total}")).await?;
    // Upstream sends an avalanche, which concerns only those that wait for scouts.
    if total > 0 && allowed(Command::Avalanche, before.state, before.label == "user").is_ok() {
        command::avalanche(ops, who, id).await?;
    }
    let message = if total > 0 { format!("task {id} may have {total} jumbo jobs") } else { format!("task {id} gets no more jumbo jobs") };
    Ok(Answer { code: CODE_REGISTERED, message })
}

/// Makes each job of a task from now on several times: `run_once` or not, so many clones, over so many queues. The answer is a sentence.
///
/// # Errors
/// No such task; one whose jobs take ranges of events; a mode that is not known; numbers that make no sense.
pub async fn clone(ops: &Ops, who: &Principal, id: TaskId, mode: &str, jobs: i64, queues: i64) -> Result<String, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    if !matches!(mode, "runonce" | "storeonce") {
        return Err(OpsError::refused(format!("mode `{mode}` is not known; `runonce` and `storeonce` are")));
    }
    bounded("multiplicity", jobs, 1)?;
    bounded("num_sites", queues, 1)?;
    owned(ops, who, Right::TaskSteer, id).await?.ok_or_else(|| OpsError::NotFound(super::read::NOT_FOUND.into()))?;
    if parameters(ops, id).await?.n_events_per_worker.is_some_and(|n| n > 0) {
        return Err(OpsError::refused(format!("jobs of task {id} take ranges of events (`nEventsPerWorker`) and cannot be cloned")));
    }
    let changes = Map::from_iter([
        ("useJobCloning".to_owned(), Value::from(mode)),
        ("nEsConsumers".to_owned(), Value::from(jobs)),
        ("nSitesPerJob".to_owned(), Value::from(queues)),
    ]);
    params::change(ops, who, id, &changes, &format!("useJobCloning={mode}")).await?;
    Ok(format!("each job of task {id} is made {jobs} times from now on ({mode})"))
}

/// Makes each job of a task once from now on. The answer is a sentence.
///
/// # Errors
/// No such task.
pub async fn clone_no_more(ops: &Ops, who: &Principal, id: TaskId) -> Result<String, OpsError> {
    table::allowed(Right::TaskSteer, Some(who), None)?;
    owned(ops, who, Right::TaskSteer, id).await?.ok_or_else(|| OpsError::NotFound(super::read::NOT_FOUND.into()))?;
    if !clones(&parameters(ops, id).await?) {
        return Ok(format!("jobs of task {id} are not cloned"));
    }
    let gone = ["useJobCloning", "nEsConsumers", "nSitesPerJob"];
    let changes = gone.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
    params::change(ops, who, id, &changes, "useJobCloning taken away").await?;
    Ok(format!("each job of task {id} is made once from now on"))
}

fn clones(p: &TaskParameters) -> bool {
    p.use_job_cloning.as_deref().is_some_and(|word| !word.is_empty())
}

fn bounded(name: &str, n: i64, least: i64) -> Result<(), OpsError> {
    if (least..=MOST_SHARING).contains(&n) {
        Ok(())
    } else {
        Err(OpsError::refused(format!("{name} is {n}; give {least} to {MOST_SHARING}")))
    }
}

async fn parameters(ops: &Ops, id: TaskId) -> Result<TaskParameters, OpsError> {
    let text = task::list::params(&ops.store, id).await?.ok_or_else(|| OpsError::NotFound(super::read::NOT_FOUND.into()))?;
    read(id, &text)
}

fn read(id: TaskId, text: &str) -> Result<TaskParameters, OpsError> {
    let wrong = |why: String| OpsError::Internal(format!("the parameters of task {id}: {why}"));
    let value: Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    TaskParameters::from_value(value).map_err(|e| wrong(e.to_string()))
}

/// Names of input data sets of tasks with jumbo jobs, by task, that changed between `from` and `to` days ago; of the newest [`MAX_LOOKED`] tasks, and of
/// those that the caller may see.
///
/// # Errors
/// Days that make no interval.
pub async fn jumbo_datasets(ops: &Ops, who: &Principal, from: i64, to: i64) -> Result<BTreeMap<String, Vec<String>>, OpsError> {
    table::admit(Right::Read, Some(who))?;
    if !(0..=MAX_DAYS).contains(&to) || !(to..=MAX_DAYS).contains(&from) {
        return Err(OpsError::refused(format!(
            "from_offset is {from} and to_offset {to} days; give 0 <= to_offset <= from_offset <= {MAX_DAYS}"
        )));
    }
    let now = ops.now().0;
    let mut filter = page::Filter { states: Vec::new(), people: None, since_us: now - from * DAY_US, before: TaskId(i64::MAX) };
    let (mut found, mut looked) = (BTreeMap::new(), 0);
    while looked < MAX_LOOKED {
        let tasks = page::page(&ops.store, &filter, MAX_PAGE).await?;
        let Some(last) = tasks.last() else { break };
        (filter.before, looked) = (last.id, looked + tasks.len());
        let ids: Vec<TaskId> = tasks.iter().filter(|t| t.modified_us <= now - to * DAY_US).map(|t| t.id).collect();
        let docs = if ids.is_empty() { Vec::new() } else { task::list::docs(&ops.store, &ids).await? };
        for (id, params, _) in docs {
            // Most tasks have none: only those that name the parameter are read.
            let has = params.contains("nJumboJobs") && read(id, &params)?.n_jumbo_jobs.is_some_and(|n| n > 0);
            let Some(t) = tasks.iter().find(|t| has && t.id == id) else { continue };
            if ops.sees(who, &t.vo, t.person_id).await? {
                let sets = archive::task::datasets(&ops.store, id).await?;
                found.insert(id.0.to_string(), sets.into_iter().filter(|d| d.role.is_input()).map(|d| d.name).collect());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, alice, prod};
    use panda_core::{file::FileRole, task::state::TaskState};

    const SERVICE: &str = r#"{"taskName": "t", "vo": "amber", "userName": "alice", "prodSourceLabel": "user", "nEventsPerWorker": 10,
        "jobParameters": [{"type": "template", "param_type": "input", "value": "-i ${IN/T}", "dataset": "in"}], "transPath": "http://h/trf/user/runGen-00-00-02"}"#;

    fn plain() -> String {
        SERVICE.replace("\"nEventsPerWorker\": 10,", "")
    }

    #[tokio::test]
    async fn jumbo_jobs_are_allowed_and_ended() {
        let w = World::new().await;
        let t = w.task(&alice(), TaskState::Running, SERVICE).await;
        w.dataset(t, FileRole::Input, 0, &[]).await;
        assert!(matches!(jumbo(&w.ops, &alice(), t, 3, None).await, Err(OpsError::Denied(_))));
        let said = jumbo(&w.ops, &prod(), t, 3, Some(1)).await.unwrap();
        assert_eq!((said.code, said.message), (0, format!("task {t} may have 3 jumbo jobs")));
        let p = parameters(&w.ops, t).await.unwrap();
        assert_eq!((p.n_jumbo_jobs, p.max_jumbo_per_site), (Some(3), Some(1)));
        let sets = jumbo_datasets(&w.ops, &alice(), 1, 0).await.unwrap();
        assert_eq!(sets, BTreeMap::from([(t.to_string(), vec!["user.alice.input0".to_owned()])]));
        assert!(jumbo_datasets(&w.ops, &alice(), 3, 2).await.unwrap().is_empty(), "it changed later than that");
        assert_eq!(jumbo(&w.ops, &prod(), t, 0, None).await.unwrap().code, 0);
        assert_eq!(parameters(&w.ops, t).await.unwrap().n_jumbo_jobs, None);
        assert!(jumbo_datasets(&w.ops, &alice(), 1, 0).await.unwrap().is_empty());
        assert_eq!(jumbo(&w.ops, &prod(), TaskId(1), 1, None).await.unwrap().code, 2);
        for (total, at) in [(-1, None), (101, None), (1, Some(0))] {
            assert!(jumbo(&w.ops, &prod(), t, total, at).await.is_err(), "{total} {at:?}");
        }
        let none = w.task(&alice(), TaskState::Running, &plain()).await;
        let why = jumbo(&w.ops, &prod(), none, 1, None).await.unwrap_err().to_string();
        assert!(why.contains("nEventsPerWorker"), "{why}");
        for (from, to) in [(0, 1), (-1, 0), (1, -1), (i64::MAX, 0)] {
            assert!(jumbo_datasets(&w.ops, &alice(), from, to).await.is_err(), "{from} {to}");
        }
    }

    #[tokio::test]
    async fn a_task_waits_for_scouts_no_longer() {
        let w = World::new().await;
        let t = w.task(&alice(), TaskState::Scouting, SERVICE).await;
        jumbo(&w.ops, &prod(), t, 1, None).await.unwrap();
        assert_eq!(w.task_row(t).await.command.as_deref(), Some("avalanche"));
    }

    #[tokio::test]
    async fn clones_are_made_and_no_more() {
        let w = World::new().await;
        let t = w.task(&alice(), TaskState::Running, &plain()).await;
        assert!(matches!(clone(&w.ops, &alice(), t, "runonce", 2, 2).await, Err(OpsError::Denied(_))));
        clone(&w.ops, &prod(), t, "storeonce", 3, 2).await.unwrap();
        let p = parameters(&w.ops, t).await.unwrap();
        assert_eq!((p.use_job_cloning.as_deref(), p.n_es_consumers, p.n_sites_per_job), (Some("storeonce"), Some(3), Some(2)));
        clone_no_more(&w.ops, &prod(), t).await.unwrap();
        assert_eq!(parameters(&w.ops, t).await.unwrap().use_job_cloning, None);
        assert_eq!(clone_no_more(&w.ops, &prod(), t).await.unwrap(), format!("jobs of task {t} are not cloned"));
        for (mode, jobs, queues) in [("twice", 2, 2), ("runonce", 0, 2), ("runonce", 2, 101)] {
            assert!(clone(&w.ops, &prod(), t, mode, jobs, queues).await.is_err(), "{mode} {jobs} {queues}");
        }
        let service = w.task(&alice(), TaskState::Running, SERVICE).await;
        assert!(clone(&w.ops, &prod(), service, "runonce", 2, 2).await.is_err());
        assert_eq!(clone(&w.ops, &prod(), TaskId(1), "runonce", 2, 2).await.unwrap_err().to_string(), "Task not found");
    }
}

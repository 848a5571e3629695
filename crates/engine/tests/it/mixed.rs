//! One workload on all three databases gives the same final accounting: states, counters, jobs, attempts of files, registered outputs.

use std::collections::BTreeMap;

use panda_core::{id::JobId, job::report::Reported};
use panda_store::{
    query::{dataset, job::list, task::dataset as sets},
    testing::Backend,
};
use serde_json::{Value, json};

use crate::world::{World, prun, with_input, with_output};

/// Names of the tasks, as submitted below.
const TASKS: [&str; 4] = ["plain", "split", "built", "merged"];

async fn submit(w: &World) -> Vec<panda_core::id::TaskId> {
    let names: Vec<String> = (0..23).map(|n| format!("f{n:02}")).collect();
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    w.dataset("user.bob.in", &files).await;
    let mut all = Vec::new();
    for name in TASKS {
        let full = format!("user.alice.{name}");
        let mut params = match name {
            "plain" => with_output(prun(&full, 4), "out.txt"),
            "merged" => with_output(prun(&full, 6), "out.txt"),
            "split" => with_output(with_input(prun(&full, 1), "user.bob:user.bob.in/", 4), "out.root"),
            _ => with_output(with_input(prun(&full, 1), "user.bob:user.bob.in/", 5), "out.root"),
        };
        params["maxAttempt"] = json!(3);
        if name == "merged" {
            params["mergeOutput"] = json!(true);
            params["mergeSpec"] =
                json!({"useLocalIO": 1, "jobParameters": "-r . -a jobO.x.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
        }
        if name == "built" {
            params["buildSpec"] = json!({"prodSourceLabel": "panda", "archiveName": "sources.x.tar.gz", "jobParameters": "-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec \"make\" "});
            params["jobParameters"][3] = json!({"type": "constant", "value": "-l ${LIB}"});
        }
        all.push(w.submit(params).await);
    }
    all
}

/// What a pilot makes of a job: decided by what the job reads and how often that was tried, not by when it is handed out.
async fn play(w: &World, job: &Value, tried: &mut BTreeMap<String, u32>) {
    let inputs = job["inFiles"].as_str().unwrap_or_default();
    let key = format!("{} {inputs}", job["taskID"]);
    let n = tried.entry(key).and_modify(|n| *n += 1).or_insert(1);
    if inputs.contains("f07") {
        return w.fail(job, 3).await;
    }
    if inputs.contains("f13") && *n == 1 {
        w.report(job, Reported::Running, |_| {}).await;
        w.report(job, Reported::Failed, |u| u.sub_state = Some("lost_worker".into())).await;
        return;
    }
    if inputs.contains("f19") && *n < 3 {
        return w.fail(job, 1).await;
    }
    w.finish(job, inputs).await;
}

async fn accounting(backend: Backend) -> Value {
    let w = World::on(backend).await;
    let ids = submit(&w).await;
    let mut tried = BTreeMap::new();
    for round in 0..200 {
        w.settle().await;
        let Some(job) = w.job().await else { break };
        play(&w, &job, &mut tried).await;
        w.pass(7);
        assert!(round < 199, "the workload does not end");
    }
    let mut out = Vec::new();
    for (id, name) in ids.into_iter().zip(TASKS) {
        let mut jobs: BTreeMap<String, i64> = BTreeMap::new();
        for j in list::of_task(&w.ops.store, id, JobId(0), 1_000).await.unwrap() {
            *jobs.entry(format!("{} {}", j.kind.as_str(), j.state.as_str())).or_default() += 1;
        }
        let mut files = Vec::new();
        for d in sets::of_task(&w.ops.store, id).await.unwrap().iter().filter(|d| d.role.is_input() && d.stream.is_some()) {
            for f in w.rows(id, d.stream.as_deref().unwrap()).await {
                files.push(format!("{} {} attempt {} failed {}", f.lfn, f.state, f.attempt, f.failed));
            }
        }
        let registered = dataset::by_name(&w.ops.store, "amber", &format!("user.alice.{name}.log")).await.unwrap();
        let registered = registered.map(|d| d.n_files);
        let t = w.task(id).await;
        out.push(json!({"task": name, "state": t.state.to_string(), "counters": w.counters(id).await, "jobs": jobs, "files": files, "logs": registered}));
    }
    w.close().await;
    Value::Array(out)
}

#[tokio::test]
async fn db_the_same_workload_has_the_same_accounting_everywhere() {
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::Mysql] {
        insta::assert_json_snapshot!("accounting", accounting(backend).await);
    }
}

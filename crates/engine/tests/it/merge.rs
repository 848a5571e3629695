//! Merging (`spec/engine.md` 6.3): every pre-merge file goes into one merge job, with the others of its job, whatever happens between.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use panda_core::{id::TaskId, job::report::Reported, task::state::TaskState};
use panda_engine::loops::{self, LoopKind};
use panda_ops::task::command;
use panda_store::query::hold;
use serde_json::{Value, json};

use crate::world::{World, prun, with_output};

fn merged(name: &str, jobs: i64, files: i64) -> Value {
    let mut params = with_output(with_output(prun(name, jobs), "out.txt"), "hist.txt");
    params["mergeOutput"] = json!(true);
    params["nMaxFilesPerMergeJob"] = json!(files);
    params["mergeSpec"] =
        json!({"useLocalIO": 1, "jobParameters": "-r . -a jobO.x.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
    params
}
/// Finishes every job that is there; the input of those that merge.
async fn run_all(w: &World) -> Vec<Vec<String>> {
    let mut merges = Vec::new();
    while let Some(job) = w.job().await {
        if job["processingType"] == json!("pmerge") {
            merges.push(job["inFiles"].as_str().unwrap().split(',').map(str::to_owned).collect());
        }
        w.finish(&job, "x").await;
    }
    merges
}
/// Every file once, and those of a job together: their names have one serial number.
fn whole(merges: &[Vec<String>], jobs: usize, each: usize) {
    let all: Vec<&String> = merges.iter().flatten().collect();
    let once: BTreeSet<&&String> = all.iter().collect();
    assert_eq!((all.len(), once.len()), (jobs * each, jobs * each), "{merges:?}");
    let mut where_is: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, files) in merges.iter().enumerate() {
        for f in files {
            let serial = f.split(['.', '_']).find(|p| p.len() == 6 && p.bytes().all(|b| b.is_ascii_digit())).unwrap();
            assert_eq!(*where_is.entry(serial).or_insert(n), n, "job {serial} is torn: {merges:?}");
        }
    }
}
async fn done(w: &World, id: TaskId, jobs: i64) {
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let counters = w.counters(id).await;
    assert_eq!(counters[0], ("pseudo_input".into(), "pseudo".into(), jobs, jobs, 0));
    for stream in ["OUTPUT0", "OUTPUT1"] {
        assert!(counters.contains(&("trn_output".into(), stream.into(), jobs, jobs, 0)), "{counters:?}");
    }
}

async fn every_file_is_merged_once_with_its_job(w: &World) {
    let id = w.submit(merged("user.alice.t", 7, 2)).await;
    w.settle().await;
    assert_eq!(run_all(w).await, Vec::<Vec<String>>::new());
    w.settle().await;
    let merges = run_all(w).await;
    whole(&merges, 7, 3);
    assert!(merges.len() > 1 && merges.iter().all(|m| m.len() <= 6), "two jobs of three files each: {merges:?}");
    w.settle().await;
    done(w, id, 7).await;
}

/// A process that dies at any moment while merge jobs are written.
async fn merging_goes_on_after_a_crash(w: &World) {
    let id = w.submit(merged("user.alice.t", 20, 3)).await;
    w.settle().await;
    run_all(w).await;
    w.settle_without(&[LoopKind::Merge]).await;
    for ms in [1, 3, 6, 10, 15] {
        let _ = tokio::time::timeout(Duration::from_millis(ms), loops::step(LoopKind::Merge, &w.ops, w.ops.now())).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    w.settle().await;
    let merges = run_all(w).await;
    whole(&merges, 20, 3);
    w.settle().await;
    done(w, id, 20).await;
    assert_eq!(w.broken().await, Vec::<String>::new());
}

/// A merge job that fails counts for its queue like any other; the jobs whose outputs it should have merged do not: they did well where they ran,
/// and count so while they wait for their merge.
async fn failed_merges_count_once_for_their_queue(w: &World) {
    for (name, n) in [("brake.min_jobs", "2"), ("brake.node_min_jobs", "100")] {
        panda_ops::setting::set(&w.ops, &crate::world::operator(), name, "", "", n).await.unwrap();
    }
    let held = async || hold::list(&w.ops.store).await.unwrap().into_iter().map(|h| h.reason).collect::<Vec<_>>();
    let fail = async |job: &Value| {
        w.report(job, Reported::Running, |_| {}).await;
        w.report(job, Reported::Failed, |u| drop(u.errors.insert("pilot_error_code".into(), json!(1_099)))).await;
        w.settle().await;
    };
    let id = w.submit(merged("user.alice.t", 6, 200)).await;
    w.settle().await;
    for _ in 0..6 {
        let job = w.job().await.unwrap();
        w.finish(&job, "x").await;
    }
    w.settle().await;
    // Six well and two failed: below the rate.
    for _ in 0..2 {
        let merge = w.job().await.unwrap();
        assert_eq!(merge["processingType"], json!("pmerge"));
        fail(&merge).await;
    }
    assert_eq!(held().await, Vec::<String>::new());
    // The third merge was the last: six jobs failed by it, three merges by the queue.
    let merge = w.job().await.unwrap();
    fail(&merge).await;
    assert_eq!(w.task(id).await.state, TaskState::Failed);
    let want = "3 of 3 jobs that ended in 60 minutes failed, 3 of them by the system's fault, of 1 tasks and 1 people";
    assert_eq!(held().await, [want]);
}

/// 7.1: merge jobs ask for what the first ones used: the 75th percentile of their memory and 10 % more, half as much time again as the longest took.
async fn merge_jobs_ask_for_what_the_first_ones_used(w: &World) {
    w.scouts(10).await;
    panda_ops::setting::set(&w.ops, &crate::world::operator(), "scout.first_mark", "", "", "0").await.unwrap();
    let id = w.submit(merged("user.alice.t", 130, 18)).await;
    w.settle().await;
    command::avalanche(&w.ops, &crate::world::prod(), id).await.unwrap();
    w.settle().await;
    for _ in 0..120 {
        let job = w.job().await.unwrap();
        assert_ne!(job["processingType"], json!("pmerge"));
        w.finish(&job, "x").await;
    }
    w.settle().await;
    let mut n = 0;
    while w.counters(id).await[0].3 < 100 {
        let job = w.job().await.unwrap();
        assert_eq!((&job["processingType"], &job["maxWalltime"]), (&json!("pmerge"), &json!(0)), "nothing is measured yet");
        n += 1;
        w.report(&job, Reported::Running, |_| {}).await;
        w.pass(1_000 + n);
        let report = w.store(&job, "x");
        w.report(&job, Reported::Finished, |u| {
            u.report = Some(report);
            u.metrics.insert("max_pss".into(), json!(3_000_000));
        })
        .await;
        w.settle().await;
    }
    w.pass(3_600);
    w.settle().await;
    let mut last = (0, 0);
    while let Some(job) = w.job().await {
        if job["processingType"] == json!("pmerge") {
            last = (job["minRamCount"].as_i64().unwrap(), job["maxWalltime"].as_i64().unwrap());
        }
        w.finish(&job, "x").await;
        w.settle().await;
    }
    assert_eq!((last, w.task(id).await.state), ((3_300, (1_000 + n) * 3 / 2), TaskState::Done));
}

cases!(
    merge_jobs_ask_for_what_the_first_ones_used,
    failed_merges_count_once_for_their_queue,
    every_file_is_merged_once_with_its_job,
    merging_goes_on_after_a_crash
);

//! What the end of a job does to its files and to the counters (engine.md 3.3, 3.6, 12.1); counters are recounted when a world closes.

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    job::{error, report::Reported, state::JobState},
    task::state::TaskState,
};
use panda_ops::{
    pilot::update::{self, Update},
    task,
};
use panda_store::query::{
    job::{self, JobRow, file::JobFile},
    task::file::TaskFile,
};
use serde_json::{Map, Value, json};

use crate::world::{World, alice, prun, with_input, with_output};

fn number(job: &Value) -> JobId {
    JobId(job["PandaID"].as_i64().unwrap())
}
async fn row(w: &World, job: &Value) -> JobRow {
    job::list::get(&w.ops.store, number(job)).await.unwrap().unwrap()
}
async fn outputs(w: &World, job: &Value) -> Vec<JobFile> {
    job::file::of_jobs(&w.ops.store, &[number(job)]).await.unwrap()
}
async fn inputs(w: &World, id: TaskId) -> Vec<TaskFile> {
    let datasets = panda_store::query::task::dataset::of_task(&w.ops.store, id).await.unwrap();
    let master = datasets.iter().find(|d| d.is_master).unwrap();
    panda_store::query::task::file::page(&w.ops.store, master.id, 0, 100).await.unwrap()
}

/// 3.6: an input that a user's payload skips is tried again without counting as a failure, until its attempts are used up.
async fn a_skipped_input_is_tried_again_and_then_left(w: &World) {
    w.dataset("user.bob.in", &["f1", "f2"]).await;
    let mut params = with_output(with_input(prun("user.alice.t", 1), "user.bob.in/", 2), "out.root");
    params["maxAttempt"] = json!(2);
    let id = w.submit(params).await;
    for _ in 0..2 {
        w.settle().await;
        let job = w.job().await.unwrap();
        assert!(job["inFiles"].as_str().unwrap().contains("f2"), "{}", job["inFiles"]);
        let mut report: Value = serde_json::from_str(&w.store(&job, "x")).unwrap();
        report["f2"] = json!({"guid": "g", "surl": "not read"});
        w.report(&job, Reported::Running, |_| {}).await;
        w.report(&job, Reported::Finished, |u| u.report = Some(report.to_string())).await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    let files = inputs(w, id).await;
    let got: Vec<_> = files.iter().map(|f| (f.lfn.as_str(), f.state, f.attempt, f.failed)).collect();
    assert_eq!(got, [("f1", FileState::Finished, 1, 0), ("f2", FileState::Skipped, 2, 0)]);
    assert_eq!(w.counters(id).await[0], ("input".into(), "IN".into(), 2, 1, 1));
    // 4.3: a retry takes it up again.
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    w.settle().await;
    assert_eq!(w.job().await.unwrap()["inFiles"], json!("f2"));
}

/// 3.6: `maxFailure` ends the attempts of a file even when `maxAttempt` would allow more; who had it last is kept.
async fn failures_are_limited_apart_from_attempts(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let first = w.job().await.unwrap();
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.job_id, file.prev_job), (Some(number(&first)), None));
    w.fail(&first, 3).await;
    w.settle().await;
    let second = w.job().await.unwrap();
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.job_id, file.prev_job, file.attempt, file.failed), (Some(number(&second)), Some(number(&first)), 1, 1));
    w.limit_failures(&file, 2).await;
    w.fail(&second, 3).await;
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.state, file.attempt, file.max_attempt, file.failed), (FileState::Failed, 2, 3, 2));
    assert_eq!(w.task(id).await.state, TaskState::Failed);
}

/// 3.3, 3.6: while a job transfers its outputs are on hold, whatever becomes of it then.
async fn outputs_are_on_hold_while_a_job_transfers(w: &World) {
    let id = w.submit(with_output(prun("user.alice.t", 2), "out.txt")).await;
    w.settle().await;
    let held = async || {
        let all = panda_store::query::task::dataset::of_task(&w.ops.store, id).await.unwrap();
        all.iter().filter(|d| d.role.is_output()).map(|d| d.n_on_hold).collect::<Vec<_>>()
    };
    let (first, second) = (w.job().await.unwrap(), w.job().await.unwrap());
    for job in [&first, &second] {
        w.report(job, Reported::Running, |_| {}).await;
        w.report(job, Reported::Transferring, |_| {}).await;
    }
    assert_eq!((row(w, &first).await.state, held().await), (JobState::Transferring, vec![2, 2]));
    assert_eq!(task::recount::differences(&w.ops, id).await.unwrap(), Vec::<String>::new());
    let report = w.store(&first, "x");
    w.report(&first, Reported::Finished, |u| u.report = Some(report)).await;
    w.settle().await;
    assert_eq!(held().await, [1, 1]);
    panda_ops::job::kill::kill(&w.ops, &alice(), &[number(&second)], None, Default::default()).await.unwrap();
    assert_eq!((row(w, &second).await.state, held().await), (JobState::Cancelled, vec![0, 0]));
}

/// 12.1: parts of an output count as outputs; metadata says how many events are in each and which GUID it has.
async fn parts_and_metadata_of_outputs(w: &World) {
    let id = w.submit(with_output(prun("user.alice.t", 1), "out.txt")).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    let name = job["outFiles"].as_str().unwrap().split(',').next().unwrap().to_owned();
    let parts = [format!("{name}._1"), format!("{name}._2")];
    let mut split = job.clone();
    split["outFiles"] = json!(job["outFiles"].as_str().unwrap().replacen(&name, &parts.join(","), 1));
    w.report(&job, Reported::Running, |_| {}).await;
    let report = w.store(&split, "xyz");
    let meta = json!({"files": {"output": [{"subFiles": [
        {"name": parts[0], "nentries": 7, "file_guid": "9E55D6D8-1111-2222-3333-444455556666"},
        {"name": parts[1], "nentries": 5}]}]}});
    w.report(&job, Reported::Finished, |u| (u.report, u.meta) = (Some(report), Some(meta.to_string()))).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let files = outputs(w, &job).await;
    let got: Vec<_> = files.iter().filter(|f| !f.role.is_log()).map(|f| (f.lfn.clone(), f.state, f.n_events)).collect();
    let want = [
        (name, FileState::Nooutput, None),
        (parts[0].clone(), FileState::Finished, Some(7)),
        (parts[1].clone(), FileState::Finished, Some(5)),
    ];
    assert_eq!(got, want);
    assert_eq!(files.iter().find(|f| f.lfn == parts[0]).unwrap().guid.as_deref(), Some("9E55D6D8-1111-2222-3333-444455556666"));
    let datasets = panda_store::query::task::dataset::of_task(&w.ops.store, id).await.unwrap();
    assert_eq!(datasets.iter().find(|d| d.stream.as_deref() == Some("OUTPUT0")).unwrap().n_events, 12);
}

/// 12.1: what a report gets wrong makes the job fail with data management's code and a sentence.
async fn a_report_that_does_not_hold_fails_the_job(w: &World) {
    let id = w.submit(with_output(prun("user.alice.t", 3), "out.txt")).await;
    w.settle().await;
    let mut said = Vec::new();
    for spoil in ["missing", "unknown", "no size"] {
        let job = w.job().await.unwrap();
        let mut report: Value = serde_json::from_str(&w.store(&job, "x")).unwrap();
        let map = report.as_object_mut().unwrap();
        let name = map.keys().find(|k| k.ends_with("out.txt")).unwrap().clone();
        match spoil {
            "missing" => drop(map.remove(&name)),
            "unknown" => drop(map.insert("nobody.asked".into(), map[&name].clone())),
            _ => drop(map[&name].as_object_mut().unwrap().remove("fsize")),
        }
        w.report(&job, Reported::Running, |_| {}).await;
        w.report(&job, Reported::Finished, |u| u.report = Some(report.to_string())).await;
        w.settle().await;
        let j = row(w, &job).await;
        assert_eq!((j.state, j.ddm_error_code), (JobState::Failed, Some(error::BAD_REPORT)));
        said.push(j.diag.unwrap().replace(&name, "OUT"));
    }
    assert_eq!(
        said,
        [
            "expected output OUT is missing in the report",
            "the report names nobody.asked, which this job was not to make",
            "the entry of OUT has no size"
        ]
    );
    assert_eq!(inputs(w, id).await.iter().map(|f| f.failed).sum::<i64>(), 3);
}

fn merging(name: &str, n: i64) -> Value {
    let mut params = with_output(prun(name, n), "out.txt");
    params["mergeOutput"] = json!(true);
    params["mergeSpec"] =
        json!({"useLocalIO": 1, "jobParameters": "-r . -a jobO.x.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
    params
}

/// 3.6: outputs wait on hold for their merge; when three merges of them failed their inputs count as not merged, and a retry runs them again.
async fn what_cannot_be_merged_is_lost_until_a_retry(w: &World) {
    let id = w.submit(merging("user.alice.t", 2)).await;
    w.settle().await;
    let run = w.job().await.unwrap();
    w.finish(&run, "x").await;
    let other = w.job().await.unwrap();
    w.finish(&other, "x").await;
    w.settle().await;
    assert!(outputs(w, &run).await.iter().all(|f| f.state == FileState::Ready));
    for n in 1..=3 {
        let merge = w.job().await.unwrap();
        assert_eq!(merge["processingType"], json!("pmerge"));
        w.fail(&merge, 18).await;
        w.settle().await;
        assert!(outputs(w, &run).await.iter().all(|f| f.attempt == n));
    }
    let j = row(w, &run).await;
    assert_eq!((j.state, j.sub_state.as_deref(), j.server_error_code), (JobState::Failed, Some("not_merged"), Some(error::MERGE_FAILED)));
    assert!(inputs(w, id).await.iter().all(|f| f.state == FileState::Notmerged && f.attempt == 1 && f.failed == 0));
    assert_eq!((w.task(id).await.state, w.counters(id).await[0].4), (TaskState::Failed, 2));
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    w.settle().await;
    for _ in 0..2 {
        let run = w.job().await.unwrap();
        w.finish(&run, "x").await;
    }
    w.settle().await;
    let merge = w.job().await.unwrap();
    w.finish(&merge, "xx").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// 3.5: a killed merge is not tried again; one whose worker was lost is, without spending an attempt.
async fn a_killed_merge_is_the_last(w: &World) {
    let id = w.submit(merging("user.alice.t", 1)).await;
    w.settle().await;
    let run = w.job().await.unwrap();
    w.finish(&run, "x").await;
    w.settle().await;
    let merge = w.job().await.unwrap();
    w.report(&merge, Reported::Running, |_| {}).await;
    w.report(&merge, Reported::Failed, |u| u.sub_state = Some("lost_worker".into())).await;
    w.settle().await;
    assert!(outputs(w, &run).await.iter().all(|f| f.attempt == 0 && f.state == FileState::Ready));
    let merge = job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 10).await.unwrap();
    assert_eq!(panda_ops::job::kill::kill(&w.ops, &alice(), &[merge[0].id], None, Default::default()).await.unwrap(), [true]);
    w.settle().await;
    assert_eq!(row(w, &run).await.diag.unwrap(), format!("its outputs could not be merged: merge job {} cancelled", merge[0].id));
    assert_eq!(w.task(id).await.state, TaskState::Failed);
}

/// 12.1: a killed job that its pilot reports failed is cancelled, with what its killer said; the attempt is spent, no failure counted.
async fn a_killed_job_is_cancelled_by_its_report(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.report(&job, Reported::Running, |_| {}).await;
    panda_ops::job::kill::kill(&w.ops, &alice(), &[number(&job)], None, Default::default()).await.unwrap();
    w.fail(&job, 1).await;
    w.settle().await;
    let j = row(w, &job).await;
    assert_eq!((j.state, j.diag.as_deref(), j.server_error_code), (JobState::Cancelled, Some("killed by alice"), Some(100)));
    assert_eq!((j.trans_exit_code, j.pilot_error_code), (None, None));
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.state, file.attempt, file.failed), (FileState::Running, 1, 0), "another job has it");
}

/// Reports that come together are answered in order, also several of one job and one of a job that nobody knows.
async fn reports_of_many_jobs_together(w: &World) {
    let id = w.submit(prun("user.alice.t", 3)).await;
    w.settle().await;
    let mut jobs = Vec::new();
    while let Some(job) = w.job().await {
        jobs.push(job);
    }
    let report = |job: &Value, state, files: Option<String>| Update {
        job_id: number(job),
        state,
        attempt: Some(0),
        node: None,
        batch_id: None,
        sub_state: None,
        report: files,
        meta: None,
        errors: Map::new(),
        metrics: Map::new(),
        vo: None,
    };
    let files = |job| Some(w.store(job, "x"));
    let unknown = json!({"PandaID": 5});
    let updates = [
        report(&jobs[0], Reported::Running, None),
        report(&jobs[0], Reported::Finished, files(&jobs[0])),
        report(&unknown, Reported::Running, None),
        report(&jobs[1], Reported::Finished, files(&jobs[1])),
        report(&jobs[1], Reported::Finished, files(&jobs[1])),
        report(&jobs[2], Reported::Running, None),
    ];
    let answers = update::many(&w.ops, &updates).await;
    let mut alone = Vec::new();
    for u in &updates {
        alone.push(update::update(&w.ops, u).await.unwrap().to_string());
    }
    let answers: Vec<String> = answers.into_iter().map(|a| a.unwrap().to_string()).collect();
    assert_eq!(answers.len(), updates.len());
    assert_eq!((&answers[2], &answers[4], &answers[5]), (&alone[2], &alone[4], &alone[5]), "as one by one");
    for (job, state) in [(&jobs[0], JobState::Holding), (&jobs[1], JobState::Holding), (&jobs[2], JobState::Running)] {
        assert_eq!(row(w, job).await.state, state);
    }
    w.settle().await;
    assert_eq!(row(w, &jobs[0]).await.state, JobState::Finished);
    let done = inputs(w, id).await.iter().filter(|f| f.state == FileState::Finished).count();
    assert_eq!(done, 2);
}

cases!(
    reports_of_many_jobs_together,
    a_skipped_input_is_tried_again_and_then_left,
    failures_are_limited_apart_from_attempts,
    outputs_are_on_hold_while_a_job_transfers,
    parts_and_metadata_of_outputs,
    a_report_that_does_not_hold_fails_the_job,
    what_cannot_be_merged_is_lost_until_a_retry,
    a_killed_merge_is_the_last,
    a_killed_job_is_cancelled_by_its_report,
);

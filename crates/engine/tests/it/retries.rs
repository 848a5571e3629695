//! Retry rules at work (engine.md 11, 18, 20.12): memory, time, input, attempts, classes, dry runs.

use panda_core::{
    file::FileState,
    id::{JobId, TaskId},
    job::{report::Reported, state::JobState},
    task::state::TaskState,
};
use panda_ops::{rule, task::plan::Adjust};
use panda_store::query::{
    decision,
    job::{self, JobRow},
    task::{self, file::TaskFile},
};
use serde_json::{Value, json};

use crate::world::{World, prun, with_input, with_output};

async fn row(w: &World, job: &Value) -> JobRow {
    job::list::get(&w.ops.store, JobId(job["PandaID"].as_i64().unwrap())).await.unwrap().unwrap()
}
async fn inputs(w: &World, id: TaskId) -> Vec<TaskFile> {
    let datasets = task::dataset::of_task(&w.ops.store, id).await.unwrap();
    let master = datasets.iter().find(|d| d.is_master).unwrap();
    task::file::page(&w.ops.store, master.id, 0, 1_000).await.unwrap()
}
async fn adjust(w: &World, id: TaskId) -> Adjust {
    let (_, adjust) = task::list::doc(&w.ops.store, id).await.unwrap().unwrap();
    Adjust::parse(adjust.as_deref()).unwrap()
}
/// The record of what the rules did: its sentence and the numbers of the rules.
async fn said(w: &World, job: &Value) -> (String, Vec<i64>) {
    let all = decision::list(&w.ops.store, job["PandaID"].as_i64().unwrap()).await.unwrap();
    let Some(d) = all.iter().find(|d| d.stage == "retry") else { return (String::new(), vec![]) };
    let doc: Value = serde_json::from_str(&d.doc).unwrap();
    let rules = doc["rules"].as_array().into_iter().flatten().map(|r| r["rule"].as_i64().unwrap()).collect();
    (doc["reason"].as_str().unwrap_or_default().to_owned(), rules)
}
async fn end_with(w: &World, job: &Value, pilot_code: i64) {
    w.report(job, Reported::Running, |_| {}).await;
    w.report(job, Reported::Failed, |u| {
        u.errors.insert("pilot_error_code".into(), json!(pilot_code));
        u.errors.insert("pilot_error_diag".into(), json!("as the pilot says it"));
    })
    .await;
    w.settle().await;
}
async fn change(w: &World, rule: Value) -> i64 {
    rule::change::set(&w.ops, &crate::world::operator(), rule.as_object().unwrap()).await.unwrap()
}

/// The next job, of whichever queue has one.
async fn next(w: &World) -> Value {
    match w.job().await {
        Some(job) => job,
        None => w.job_at("BIG").await.unwrap(),
    }
}
/// Lets all queued jobs but the one with the most memory end well; the answer is that one.
async fn finish_all_but_the_greatest(w: &World) -> Value {
    let mut jobs = Vec::new();
    for queue in ["LOCAL", "BIG"] {
        while let Some(job) = w.job_at(queue).await {
            jobs.push((row(w, &job).await.ram_mb, job));
        }
    }
    jobs.sort_by_key(|j| j.0);
    let greatest = jobs.pop().unwrap().1;
    for (_, job) in jobs {
        w.finish(&job, "x").await;
    }
    w.settle().await;
    greatest
}

/// 11: each attempt of what runs out of memory gets a step of the ladder more; others keep theirs.
async fn memory_climbs_the_ladder(w: &World) {
    w.queue_of("BIG", "native", 1, 10_000).await;
    let mut params = prun("user.alice.t", 10);
    params["ramCount"] = json!(1_500);
    params["maxAttempt"] = json!(10);
    let id = w.submit(params).await;
    w.settle().await;
    let first = next(w).await;
    assert_eq!(first["minRamCount"], json!(1_500));
    end_with(w, &first, 1_212).await;
    assert_eq!(said(w, &first).await, ("the next attempt gets 2000 MB instead of 1500".into(), vec![1]));
    let mut job = finish_all_but_the_greatest(w).await;
    for mb in [2_000, 3_000, 4_000, 6_000, 8_000] {
        assert_eq!(row(w, &job).await.ram_mb, mb);
        end_with(w, &job, 1_235).await;
        if mb == 8_000 {
            assert_eq!(said(w, &job).await.0, "it had 8000 MB already, there is no higher step");
        }
        job = next(w).await;
    }
    let files = inputs(w, id).await;
    assert_eq!(files.iter().filter(|f| f.ram_mb > 0).count(), 1);
    assert_eq!(adjust(w, id).await.ram_mb, None, "one of ten is not the whole task");
}

/// 11, 20.12: when more than 30 % of the files need more, the whole task gets it, in one unit (18): per core for a task that counts per core.
async fn the_whole_task_is_raised_when_many_need_it(w: &World) {
    w.queue_of("WIDE", "native", 4, 40_000).await;
    let mut params = prun("user.alice.t", 6);
    params["ramCount"] = json!(1_000);
    params["ramUnit"] = json!("MBPerCore");
    params["coreCount"] = json!(4);
    params["baseRamCount"] = json!(300);
    let id = w.submit(params).await;
    w.settle().await;
    let jobs = [w.job_at("WIDE").await.unwrap(), w.job_at("WIDE").await.unwrap(), w.job_at("WIDE").await.unwrap()];
    let first = "the next attempt gets 2000 MB for each core instead of 1000";
    let second = format!("{first}; 2 of 6 files need more than the task asks for, so all its jobs get it");
    // The third was made before the raise and needs no step of its own.
    let want = [first, &second, "its task was raised to 2000 MB for each core meanwhile"];
    for (n, j) in jobs.iter().enumerate() {
        assert_eq!((row(w, j).await.ram_mb, &j["coreCount"]), (4_300, &json!(4)));
        end_with(w, j, 1_212).await;
        assert_eq!(said(w, j).await.0, want[n]);
    }
    assert_eq!(adjust(w, id).await.ram_mb, Some(2_000));
    let mut rams: Vec<i64> =
        job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 100).await.unwrap().iter().map(|j| j.ram_mb).collect();
    rams.sort_unstable();
    assert_eq!(rams, [4_300, 4_300, 4_300, 8_300, 8_300, 8_300]);
}

/// 11, 18: a task that says how its memory grows (RX, RY, RZ) does not climb the ladder; the offset counts.
async fn memory_grows_as_the_task_says(w: &World) {
    w.queue_of("BIG", "native", 1, 20_000).await;
    let mut params = prun("user.alice.t", 10);
    params["ramCount"] = json!(2_000);
    params["retryRamOffset"] = json!(100);
    params["retryRamStep"] = json!(3_000);
    params["retryRamMax"] = json!(4_000);
    let id = w.submit(params).await;
    w.settle().await;
    let first = next(w).await;
    end_with(w, &first, 1_223).await;
    let second = finish_all_but_the_greatest(w).await;
    assert_eq!(row(w, &second).await.ram_mb, 3_100);
    end_with(w, &second, 1_223).await;
    let third = next(w).await;
    assert_eq!(row(w, &third).await.ram_mb, 4_000);
    end_with(w, &third, 1_223).await;
    assert_eq!(said(w, &third).await, ("it had 4000 MB already, there is no higher step".into(), vec![12]));
    assert_eq!(w.task(id).await.state, TaskState::Finished);
}

/// 11: what runs longer than it may gets half as much time again, for all jobs of the task that are made later.
async fn time_grows_by_what_was_used(w: &World) {
    let mut params = prun("user.alice.t", 2);
    params["walltime"] = json!(-1_000);
    let id = w.submit(params).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    assert_eq!(job["maxWalltime"], json!(1_000));
    w.report(&job, Reported::Running, |_| {}).await;
    w.pass(1_010);
    end_with(w, &job, 1_213).await;
    assert_eq!(said(w, &job).await, ("jobs of the task get 1515 s instead of 1000".into(), vec![21]));
    assert_eq!(adjust(w, id).await.walltime_s, Some(1_515));
    let times: Vec<i64> =
        job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 10).await.unwrap().iter().map(|j| j.walltime_s).collect();
    assert_eq!(times, [1_000, 1_515]);
}

/// 11: jobs that write more than they may get half of their input from the second attempt on; a task that fixes its input keeps it.
async fn jobs_get_less_input(w: &World) {
    w.dataset("user.bob.in", &["f1", "f2", "f3", "f4"]).await;
    let mut params = with_output(with_input(prun("user.alice.t", 1), "user.bob.in/", 4), "out.root");
    params.as_object_mut().unwrap().remove("nFilesPerJob");
    let id = w.submit(params).await;
    w.settle().await;
    let sizes = async || {
        let jobs = job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 10).await.unwrap();
        let ids: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
        let files = task::file::of_jobs(&w.ops.store, &ids).await.unwrap();
        ids.iter().map(|id| files.iter().filter(|f| f.job_id == Some(*id)).count()).collect::<Vec<_>>()
    };
    assert_eq!(sizes().await, [4]);
    let job = w.job().await.unwrap();
    end_with(w, &job, 1_104).await;
    assert_eq!((sizes().await, adjust(w, id).await.max_files), (vec![4], None), "not at the first attempt");
    let job = w.job().await.unwrap();
    end_with(w, &job, 1_104).await;
    assert_eq!((sizes().await, adjust(w, id).await.max_files), (vec![2, 2], Some(2)));
    assert_eq!(said(w, &job).await, ("jobs of the task get at most 2 files of 1400 bytes together".into(), vec![31]));
    assert_eq!((adjust(w, id).await.first_files, adjust(w, id).await.first_bytes), (Some(4), Some(2_800)));
}

/// 11: no retry and limits of retries, the most specific rule, rules that are switched off, rules that have expired.
async fn rules_of_the_site_limit_attempts(w: &World) {
    let limit = json!({"source": "pilot", "code": 1305, "action": "limit_retry", "max_attempt": 2});
    change(w, limit).await;
    let dry = change(w, json!({"source": "pilot", "code": 1305, "action": "no_retry", "vo": "amber", "active": false})).await;
    change(w, json!({"source": "pilot", "code": 1305, "action": "no_retry", "vo": "amber", "expires": "2020-01-01 00:00:00"})).await;
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.fail(&job, 3).await;
    w.settle().await;
    assert_eq!(said(w, &job).await.0, "its inputs are tried at most 2 times");
    let record = decision::list(&w.ops.store, job["PandaID"].as_i64().unwrap()).await.unwrap().remove(0);
    assert_eq!(serde_json::from_str::<Value>(&record.doc).unwrap()["dry"][0]["rule"], json!(dry));
    let job = w.job().await.unwrap();
    w.fail(&job, 3).await;
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.state, file.attempt, file.max_attempt), (FileState::Failed, 2, 2));
    assert_eq!(w.task(id).await.state, TaskState::Failed);
    // Switched on, the more specific rule counts.
    change(w, json!({"id": dry, "active": true})).await;
    let id = w.submit(prun("user.alice.u", 1)).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.fail(&job, 3).await;
    w.settle().await;
    assert_eq!(said(w, &job).await, ("its inputs are not tried again".into(), vec![dry]));
    assert_eq!(inputs(w, id).await[0].max_attempt, 1);
}

/// 11: the system's errors are not counted against a file that may fail only so often; a rule can say that an error is the system's.
async fn errors_of_the_system_are_not_counted(w: &World) {
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    w.limit_failures(&file, 1).await;
    // A lost heartbeat is the system's fault.
    let job = w.job().await.unwrap();
    w.report(&job, Reported::Running, |_| {}).await;
    w.pass(7_300);
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.attempt, file.failed, file.max_failure, file.state), (1, 1, Some(2), FileState::Running));
    // A payload's failure is not, unless a rule says so.
    change(w, json!({"source": "pilot", "code": 1305, "message": "payload failed", "action": "classify", "class": "system"})).await;
    let job = w.job().await.unwrap();
    w.fail(&job, 3).await;
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.attempt, file.failed, file.max_failure, file.state), (2, 2, Some(3), FileState::Running));
    assert_eq!(said(w, &job).await.0, "it counts as an error of the class system");
}

/// 11: rules see the server's own errors, too: here of a kill.
async fn the_servers_own_errors_are_looked_at_apart(w: &World) {
    change(w, json!({"source": "taskbuffer", "code": 100, "action": "no_retry"})).await;
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle().await;
    let job = job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 1).await.unwrap().remove(0);
    panda_ops::job::kill::kill(&w.ops, &crate::world::alice(), &[job.id], None, panda_ops::job::kill::Options::default()).await.unwrap();
    w.settle().await;
    let file = inputs(w, id).await.remove(0);
    assert_eq!((file.state, file.attempt, file.failed, file.max_attempt), (FileState::Failed, 1, 0, 1));
    assert_eq!(w.task(id).await.state, TaskState::Failed);
}

cases!(
    memory_climbs_the_ladder,
    the_whole_task_is_raised_when_many_need_it,
    memory_grows_as_the_task_says,
    time_grows_by_what_was_used,
    jobs_get_less_input,
    rules_of_the_site_limit_attempts,
    errors_of_the_system_are_not_counted,
    the_servers_own_errors_are_looked_at_apart,
);

//! Scouts: the first jobs of a task, what is measured of them, and what becomes of the task (`spec/engine.md` sections 4.2, 7 and 20.8).

use panda_core::{
    id::{JobId, TaskId},
    job::{report::Reported, state::JobState},
    task::state::TaskState,
};
use panda_ops::{
    setting,
    task::{
        command::{self, Retry},
        plan::Adjust,
    },
};
use panda_store::query::{
    decision,
    job::{self, JobRow},
    task,
};
use serde_json::{Value, json};

use crate::world::{World, alice, prod, prun, with_input, with_output};

/// What each scout takes, seconds.
const WALL_S: i64 = 1_600;

async fn set(w: &World, name: &str, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), name, "amber", "user", value).await.unwrap();
}
/// A task of so many jobs, with ten scouts.
pub async fn submit(w: &World, name: &str, n: i64, more: Value) -> TaskId {
    w.scouts(10).await;
    let mut params = with_output(prun(&format!("user.alice.{name}"), n), "out.txt");
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = w.submit(params).await;
    w.settle().await;
    id
}
/// Takes `n` jobs and lets them run for [`WALL_S`].
pub async fn run(w: &World, n: usize) -> Vec<Value> {
    let mut jobs = Vec::new();
    for _ in 0..n {
        let job = w.job().await.unwrap();
        w.report(&job, Reported::Running, |_| {}).await;
        jobs.push(job);
    }
    w.pass(WALL_S);
    jobs
}
/// The job ends well and reports these metrics.
async fn done(w: &World, job: &Value, metrics: &Value) {
    let report = w.store(job, "x");
    w.report(job, Reported::Finished, |u| {
        u.report = Some(report);
        u.metrics.extend(metrics.as_object().unwrap().clone());
    })
    .await;
}
/// `n` scouts run, end well and report the same.
pub async fn all_done(w: &World, n: usize, metrics: &Value) {
    for job in run(w, n).await {
        done(w, &job, metrics).await;
    }
    w.settle().await;
}
fn usual() -> Value {
    json!({"cpu_consumption_time": 1_400, "max_pss": 1_000_000, "tot_rbytes": 16_384_000, "tot_wbytes": 0,
        "job_metrics": "nEvents=1 workDirSize=2000000000 leak=12.5 chi2=1.5"})
}
pub async fn jobs(w: &World, id: TaskId) -> Vec<JobRow> {
    job::list::of_task_in(&w.ops.store, id, JobState::ALL, 500).await.unwrap()
}
async fn waiting(w: &World, id: TaskId) -> Vec<JobRow> {
    job::list::of_task_in(&w.ops.store, id, &[JobState::Activated], 500).await.unwrap()
}
pub async fn adjust(w: &World, id: TaskId) -> Adjust {
    let (_, text) = task::list::doc(&w.ops.store, id).await.unwrap().unwrap();
    Adjust::parse(text.as_deref()).unwrap()
}
pub async fn record(w: &World, id: TaskId) -> Value {
    let (_, doc) = decision::get(&w.ops.store, id.0, "scouts").await.unwrap().unwrap();
    serde_json::from_str(&doc).unwrap()
}
async fn states(w: &World, id: TaskId) -> Vec<String> {
    task::list::events(&w.ops.store, id).await.unwrap().into_iter().map(|e| e.to).collect()
}

/// 4.2, 7.1: ten jobs come first and the rest waits; when half of them ended well it is made with what they showed.
async fn scouts_come_first_and_tell_what_the_rest_needs(w: &World) {
    let id = submit(w, "t", 30, json!({})).await;
    let t = w.task(id).await;
    let first = jobs(w, id).await;
    assert_eq!((t.state, first.len()), (TaskState::Scouting, 10));
    assert!(first.iter().all(|j| j.ram_mb == 2_000 && j.walltime_s == 0 && j.disk_mb == 0), "as the task asked");
    let running = run(w, 10).await;
    assert!(running.iter().all(|j| j["specialHandling"] == "sj"), "6.3: as clients know scouts");
    for job in &running[..4] {
        done(w, job, &usual()).await;
    }
    w.settle().await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Scouting, 10), "four of ten are not half");
    done(w, &running[4], &json!({"max_pss": 1_200_000})).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    assert_eq!(states(w, id).await.iter().rev().take(3).map(String::as_str).collect::<Vec<_>>(), ["running", "scouted", "scouting"]);
    let rest = waiting(w, id).await;
    assert_eq!((rest.len(), jobs(w, id).await.len()), (20, 30));
    // The fourth of five memories is 1,000 MB; 9,000 HS06 s an event and half of it more on a core of 10 × 0.9, and the base.
    for j in &rest {
        assert_eq!((j.ram_mb, j.disk_mb, j.walltime_s), (1_100, 2_001, 600 + 1_500));
    }
    let m = adjust(w, id).await.measured.unwrap();
    assert_eq!((m.at_files, m.ram_mb, m.cpu_ms_per_event, m.work_mb, m.out_mb), (5, Some(1_100), Some(13_500_000), Some(2_000), Some(1)));
    assert_eq!((m.io_kb_s, m.disk_io_kb_s), (Some(1), Some(10)));
    let said = record(w, id).await;
    assert_eq!(
        (&said["outcome"], &said["jobs"], &said["reason"]),
        (&json!("go"), &json!(5), &json!("5 of its 10 scouts' files are finished"))
    );
    assert_eq!(said["measured"]["ram_mb"]["value"], json!(1_100));
    assert!(first.iter().any(|j| json!(j.id.0) == said["measured"]["ram_mb"]["job"]), "which job a value is of");
    for job in &running[5..] {
        done(w, job, &usual()).await;
    }
    while let Some(job) = w.job().await {
        assert!(job.get("specialHandling").is_none(), "the rest are no scouts");
        w.finish(&job, "x").await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// 20.1, 3.4: scouts of a task with less priority have 901.
async fn scouts_have_a_priority_of_their_own(w: &World) {
    let id = submit(w, "t", 12, json!({"taskPriority": 500})).await;
    let first: Vec<i64> = jobs(w, id).await.iter().map(|j| -j.neg_priority).collect();
    assert_eq!(first, [901; 10]);
    all_done(w, 5, &json!({})).await;
    let rest: Vec<i64> = jobs(w, id).await.iter().skip(10).map(|j| -j.neg_priority).collect();
    assert!(rest.len() == 2 && rest.iter().all(|p| *p <= 500), "{rest:?}");
}

/// 5.3: a scout that fails is tried again, and nothing else is made for it.
async fn a_failed_scout_is_tried_again(w: &World) {
    let id = submit(w, "t", 30, json!({"maxAttempt": 3})).await;
    let running = run(w, 10).await;
    let file = |job: &Value| JobId(job["PandaID"].as_i64().unwrap());
    w.report(&running[0], Reported::Failed, |u| drop(u.errors.insert("trans_exit_code".into(), json!(1)))).await;
    w.settle().await;
    let new = waiting(w, id).await;
    assert_eq!((w.task(id).await.state, new.len(), jobs(w, id).await.len()), (TaskState::Scouting, 1, 11));
    let sets = task::dataset::of_task(&w.ops.store, id).await.unwrap();
    let master = sets.iter().find(|d| d.is_master).unwrap();
    let rows = task::file::page(&w.ops.store, master.id, 0, 100).await.unwrap();
    assert!(rows.iter().skip(10).all(|f| f.job_id.is_none() && f.prev_job.is_none()), "the rest waits");
    assert_eq!(rows.iter().filter_map(|f| f.prev_job).collect::<Vec<_>>(), [file(&running[0])]);
}

/// 4.2: "no scout jobs succeeded", "not enough scout jobs succeeded".
async fn a_task_whose_scouts_fail_is_broken(w: &World) {
    let fail = async |job: &Value| {
        w.report(job, Reported::Failed, |u| drop(u.errors.insert("trans_exit_code".into(), json!(1)))).await;
    };
    let id = submit(w, "none", 30, json!({"maxAttempt": 1})).await;
    for job in run(w, 10).await {
        fail(&job).await;
    }
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!((t.state, t.reason.as_deref()), (TaskState::Broken, Some("no scout jobs succeeded")));
    assert_eq!(jobs(w, id).await.len(), 10);

    // SS 8 is 80 %; six of ten are waited for until all have ended.
    let id = submit(w, "few", 30, json!({"maxAttempt": 1, "scoutSuccessRate": 8})).await;
    let running = run(w, 10).await;
    for job in &running[..4] {
        fail(job).await;
    }
    for job in &running[4..9] {
        done(w, job, &usual()).await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Scouting, "the last one runs");
    done(w, &running[9], &usual()).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Broken);
    assert_eq!(t.reason.unwrap(), "not enough scout jobs succeeded: 60% of their files, it wants 80%");

    // Without SS one that ends well is enough.
    let id = submit(w, "one", 30, json!({"maxAttempt": 1})).await;
    let running = run(w, 10).await;
    for job in &running[..9] {
        fail(job).await;
    }
    done(w, &running[9], &usual()).await;
    w.settle().await;
    assert_eq!((w.task(id).await.state, waiting(w, id).await.len()), (TaskState::Running, 20));
}

/// 7.2: what scouts show stops a task that may be exhausted, with the reason; also what upstream computes and does not act on (18).
async fn what_scouts_show_stops_a_task(w: &World) {
    for (name, value) in
        [("scout.leak_per_core", "12"), ("scout.short_percent", "30"), ("scout.short_jobs", "30"), ("scout.min_ok_percent", "20")]
    {
        set(w, name, value).await;
    }
    let calm = json!({"cpu_consumption_time": 1_400, "max_pss": 1_000_000});
    let cases = [
        (
            "ram",
            json!({"max_pss": 5_000_000, "cpu_consumption_time": 1_400}),
            "scout_ramCount",
            "its scouts need 5500 MB for each core and it asked for 2000",
        ),
        ("leak", json!({"job_metrics": "leak=12.5 chi2=1.0"}), "scout_memory_leak", "its scouts leak 12.5 of memory for each core"),
        ("short", calm.clone(), "many_shorter_jobs", "100% of its scouts took less than 2000 s, and 30 such jobs are expected"),
        (
            "idle",
            json!({"cpu_consumption_time": 480}),
            "low_efficiency",
            "its scouts use 30% of the CPU time of their cores, it wants at least 50%",
        ),
        ("over", json!({"cpu_consumption_time": 3_300}), "over_cpu_consumption", "used 3300 s of CPU time in 16"),
    ];
    for (name, metrics, code, text) in cases {
        if name == "short" {
            set(w, "scout.short_s", "2000").await;
        }
        let id = submit(w, name, 30, json!({"useExhausted": true, "minCpuEfficiency": 50})).await;
        all_done(w, 5, &metrics).await;
        setting::unset(&w.ops, &crate::world::operator(), "scout.short_s", "amber", "user").await.unwrap();
        let t = w.task(id).await;
        let reason = t.reason.unwrap_or_default();
        assert_eq!(t.state, TaskState::Exhausted, "{name}");
        assert!(reason.contains(text) && reason.ends_with(&format!("(#KV action=set_exhausted reason={code})")), "{name}: {reason}");
        assert_eq!(jobs(w, id).await.len(), 10, "{name}: the rest is not made");
        assert_eq!(record(w, id).await["outcome"], json!("exhaust"));
        // The scouts that are left have nothing to do with the next task.
        command::kill(&w.ops, &alice(), id).await.unwrap();
        w.settle().await;
    }
    let id = submit(w, "poor", 30, json!({"useExhausted": true, "maxAttempt": 1, "scoutSuccessRate": 50})).await;
    let running = run(w, 10).await;
    for (n, job) in running.iter().enumerate() {
        if n < 4 {
            done(w, job, &calm).await;
        } else {
            w.report(job, Reported::Failed, |u| drop(u.errors.insert("trans_exit_code".into(), json!(1)))).await;
        }
    }
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Exhausted);
    assert!(t.reason.unwrap().starts_with("40% of its scouts ended well, fewer than it wants"));
}

/// 7.2: only a task that may be exhausted is, and only one that will have more than 20 jobs.
async fn small_tasks_and_tasks_that_may_not_are_not_stopped(w: &World) {
    let greedy = json!({"max_pss": 3_500_000, "cpu_consumption_time": 9_000});
    for (name, n, more, want) in [
        ("may-not", 30, json!({}), TaskState::Running),
        ("small", 20, json!({"useExhausted": true}), TaskState::Running),
        ("large", 21, json!({"useExhausted": true}), TaskState::Exhausted),
    ] {
        let id = submit(w, name, n, more).await;
        all_done(w, 5, &greedy).await;
        assert_eq!(w.task(id).await.state, want, "{name}");
        command::kill(&w.ops, &alice(), id).await.unwrap();
        w.settle().await;
    }
}

/// 4.3: a task that its scouts stopped makes the rest when it is retried, and no other scouts.
async fn an_exhausted_task_goes_on_when_it_is_retried(w: &World) {
    let id = submit(w, "t", 30, json!({"useExhausted": true})).await;
    all_done(w, 10, &json!({"cpu_consumption_time": 9_000})).await;
    assert_eq!(w.task(id).await.state, TaskState::Exhausted);
    assert_eq!(command::retry(&w.ops, &alice(), id, &Retry::default()).await.unwrap().code, 0);
    w.settle().await;
    assert_eq!((w.task(id).await.state, waiting(w, id).await.len()), (TaskState::Running, 20));
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
    }
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// 4.3: avalanche.
async fn nobody_waits_for_scouts_when_told_so(w: &World) {
    let id = submit(w, "t", 30, json!({})).await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Scouting, 10));
    assert_eq!(command::avalanche(&w.ops, &prod(), id).await.unwrap().code, 0);
    w.settle().await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Running, 30));
    let rest = waiting(w, id).await;
    assert!(rest.iter().all(|j| j.ram_mb == 2_000), "nothing was measured");
}

/// 3.6, 7.1: a running task is measured at 5 and at 100 finished files; it never stops for that.
async fn a_running_task_is_measured_at_its_marks(w: &World) {
    let id = submit(w, "t", 120, json!({"useExhausted": true})).await;
    command::avalanche(&w.ops, &prod(), id).await.unwrap();
    w.settle().await;
    let measured = async || adjust(w, id).await.measured.map(|m| (m.at_files, m.ram_mb));
    let look = async || {
        w.pass(3_600);
        w.settle().await;
    };
    all_done(w, 4, &usual()).await;
    look().await;
    assert_eq!(measured().await, None);
    all_done(w, 1, &usual()).await;
    look().await;
    assert_eq!(measured().await, Some((5, Some(1_100))));
    all_done(w, 94, &json!({"max_pss": 9_000_000})).await;
    look().await;
    assert_eq!(measured().await, Some((5, Some(1_100))));
    all_done(w, 1, &json!({"max_pss": 9_000_000})).await;
    look().await;
    assert_eq!(measured().await, Some((100, Some(9_900))));
    assert_eq!(w.task(id).await.state, TaskState::Running);
}

/// 5.2, 5.3: a task that skips scouts, or that ten jobs are all of, has none.
async fn who_has_no_scouts(w: &World) {
    let id = submit(w, "skips", 30, json!({"skipScout": true})).await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Running, 30));
    let id = submit(w, "ten", 10, json!({})).await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Running, 10));
    let id = submit(w, "eleven", 11, json!({})).await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Scouting, 10));
}

async fn dataset(w: &World, name: &str, n: usize) {
    let names: Vec<String> = (0..n).map(|n| format!("f{n:04}")).collect();
    w.dataset(name, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}
async fn submit_over(w: &World, name: &str, dataset: &str, per_job: i64, more: Value) -> TaskId {
    w.scouts(10).await;
    let mut params = with_input(with_output(prun(&format!("user.alice.{name}"), 1), "out.txt"), dataset, per_job);
    let map = params.as_object_mut().unwrap();
    map.insert("respectSplitRule".into(), json!(false));
    map.extend(more.as_object().unwrap().clone());
    map.retain(|_, v| !v.is_null());
    let id = w.submit(params).await;
    w.settle().await;
    id
}
async fn files_of_jobs(w: &World, id: TaskId) -> Vec<usize> {
    let mut of = std::collections::BTreeMap::new();
    for f in w.rows(id, "IN").await {
        if let Some(job) = f.job_id {
            *of.entry(job).or_insert(0) += 1;
        }
    }
    of.into_values().collect()
}

/// 6.1: scouts of a task without rules read one file each, unless it says that they follow its rules (RR).
async fn scouts_without_rules_read_one_file_each(w: &World) {
    dataset(w, "user.bob.in", 60).await;
    let id = submit_over(w, "plain", "user.bob.in", 1, json!({"nFilesPerJob": null})).await;
    assert_eq!(files_of_jobs(w, id).await, [1; 10]);
    all_done(w, 5, &usual()).await;
    let after = files_of_jobs(w, id).await;
    assert_eq!((after.iter().sum::<usize>(), after.len()), (60, 11), "the other fifty are one job");
    let id = submit_over(w, "rules", "user.bob.in", 4, json!({})).await;
    assert_eq!(files_of_jobs(w, id).await, [4; 10], "NF goes before");
    let id = submit_over(w, "respects", "user.bob.in", 1, json!({"nFilesPerJob": null, "respectSplitRule": true})).await;
    assert_eq!(files_of_jobs(w, id).await, [60], "one job is all there is");
}

/// 7.2 row 4: SCOUT_CHANGE_SR: short jobs become longer instead of none.
async fn short_jobs_become_longer(w: &World) {
    for (name, value) in
        [("scout.short_percent", "50"), ("scout.short_jobs", "30"), ("scout.short_s", "2000"), ("scout.change_rules", "true")]
    {
        set(w, name, value).await;
    }
    dataset(w, "user.bob.in", 60).await;
    let id = submit_over(w, "t", "user.bob.in", 2, json!({"useExhausted": true})).await;
    assert_eq!(files_of_jobs(w, id).await, [2; 10]);
    all_done(w, 5, &usual()).await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    assert_eq!(files_of_jobs(w, id).await.last(), Some(&40), "what NF cut is one job");
    assert_eq!(record(w, id).await["outcome"], json!("widen"));
}

/// A crash between the first step and the assessment changes nothing: what is known is in the database.
async fn scouts_outlive_the_engine(w: &World) {
    let id = submit(w, "t", 30, json!({})).await;
    let running = run(w, 5).await;
    for job in &running {
        done(w, job, &usual()).await;
    }
    // Reports settle, but nobody has assessed them.
    w.settle_without(&[panda_engine::loops::LoopKind::Close]).await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Scouting, 10));
    w.settle().await;
    assert_eq!((w.task(id).await.state, jobs(w, id).await.len()), (TaskState::Running, 30));
}

cases!(
    scouts_come_first_and_tell_what_the_rest_needs,
    scouts_have_a_priority_of_their_own,
    a_failed_scout_is_tried_again,
    a_task_whose_scouts_fail_is_broken,
    what_scouts_show_stops_a_task,
    small_tasks_and_tasks_that_may_not_are_not_stopped,
    an_exhausted_task_goes_on_when_it_is_retried,
    nobody_waits_for_scouts_when_told_so,
    a_running_task_is_measured_at_its_marks,
    who_has_no_scouts,
    scouts_without_rules_read_one_file_each,
    short_jobs_become_longer,
    scouts_outlive_the_engine,
);

//! What is removed for good, and what stays because somebody may need it (`spec/engine.md` 2.3, 13.1, 20.13).

use std::{
    fs::FileTimes,
    path::Path,
    time::{Duration, SystemTime},
};

use panda_core::{
    id::{JobId, TaskId},
    job::report::Reported,
    task::state::TaskState,
};
use panda_ops::{
    retention::{self, Class, report, uses},
    setting, task,
};
use panda_store::{
    Batch, IdKind,
    query::{archive, cache, dataset, decision, journal, worker},
};
use serde_json::{Value, json};

use crate::{
    keeper::{Keeper, Mode},
    world::{World, alice, prun, with_input, with_output},
};

const DAY: i64 = 86_400;

async fn upload(w: &World, name: &str, vo: &str) {
    let person_id = w.ops.person(&alice()).await.unwrap().id;
    let file =
        cache::CacheFile { name: name.into(), person_id, vo: Some(vo.into()), fsize: 3, checksum: "1".into(), touched_us: w.ops.now().0 };
    let mut batch = Batch::new();
    cache::add(&mut batch, &file);
    w.ops.store.apply(batch).await.unwrap();
    put(&w.ops.blobs.cache_path(name).unwrap(), 0);
}
/// A file that was written so many days ago.
fn put(path: &Path, days: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "abc").unwrap();
    let at = SystemTime::now() - Duration::from_secs(days * 86_400);
    std::fs::File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(at)).unwrap();
}
fn has(w: &World, name: &str) -> bool {
    w.ops.blobs.cache_path(name).unwrap().exists()
}
async fn keep(w: &World, name: &str, vo: &str, days: i64) {
    setting::set(&w.ops, &crate::world::operator(), name, vo, "", &days.to_string()).await.unwrap();
}
/// A task of one failed and one finished job.
async fn half_done(w: &World, params: Value) -> TaskId {
    let mut params = params;
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    let job = w.job().await.unwrap();
    w.fail(&job, 1).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    id
}
async fn removed(w: &World) -> Vec<String> {
    let mut lines = journal::list(&w.ops.store, Some(retention::AREA), i64::MAX, 100).await.unwrap();
    lines.reverse();
    let one = |l: journal::Line| {
        let doc: Value = serde_json::from_str(&l.doc.unwrap()).unwrap();
        format!("{} of {}: {}", l.subject, doc["vo"].as_str().unwrap(), doc["rows"])
    };
    lines.into_iter().map(one).collect()
}

/// engine.md 13.1: sandboxes 30 days, other uploads 7, counted from the last use; what a task that can be retried names stays.
async fn uploads_age_from_their_last_use(w: &World) {
    for name in ["jobO.x.tar.gz", "sources.idle.tar.gz", "sources.read.tar.gz", "other.dat"] {
        upload(w, name, "amber").await;
    }
    upload(w, "sources.long.tgz", "flint").await;
    keep(w, "retention.sandbox_days", "flint", 100).await;
    // prun's parameters name jobO.x.tar.gz.
    let id = half_done(w, with_output(prun("user.alice.t", 2), "out.txt")).await;
    w.pass(8 * DAY);
    w.settle().await;
    assert_eq!(["sources.idle.tar.gz", "other.dat"].map(|n| has(w, n)), [true, false]);
    w.pass(12 * DAY);
    uses::read(&w.ops, "sources.read.tar.gz").await.unwrap();
    w.pass(9 * DAY);
    w.settle().await;
    assert!(has(w, "sources.idle.tar.gz"), "29 days");
    w.pass(DAY);
    let due = report::due(&w.ops, &alice()).await.unwrap();
    assert_eq!(due[0]["examples"], json!(["sources.idle.tar.gz"]), "{due}");
    assert!(has(w, "sources.idle.tar.gz"), "a dry run removes nothing");
    // The loop of sweeping alone: the one of the archive would move the task, which is as old.
    retention::step(&w.ops).await.unwrap();
    let names = ["jobO.x.tar.gz", "sources.idle.tar.gz", "sources.read.tar.gz", "sources.long.tgz"];
    assert_eq!(names.map(|n| has(w, n)), [true, false, true, true]);
    assert_eq!(removed(w).await, ["other uploads of amber: 1", "sandboxes of amber: 1"]);

    // The task cannot be taken up any more, so nobody names the sandbox.
    w.settle().await;
    assert!(archive::task::cold(&w.ops.store, id).await.unwrap().is_some());
    w.settle().await;
    assert!(!has(w, "jobO.x.tar.gz"));
}

/// A retry in the last hour still has its sandbox and its inputs.
async fn a_retry_finds_its_sandbox(w: &World) {
    upload(w, "jobO.x.tar.gz", "amber").await;
    let id = half_done(w, with_output(prun("user.alice.t", 2), "out.txt")).await;
    w.pass(30 * DAY - 3_600);
    for _ in 0..3 {
        w.settle().await;
    }
    task::command::retry(&w.ops, &alice(), id, &task::command::Retry::default()).await.unwrap();
    w.settle().await;
    w.pass(60 * DAY);
    retention::step(&w.ops).await.unwrap();
    assert!(has(w, "jobO.x.tar.gz"), "a live task names it");
    let job = w.job().await.unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// Live logs go by the VO of their job; leftovers of uploads after two days.
async fn logs_and_leftovers_go(w: &World) {
    let id = half_done(w, with_output(prun("user.alice.t", 2), "out.txt")).await;
    let jobs = task::read::job_ids(&w.ops, &alice(), id).await.unwrap();
    let log = |job: i64| w.ops.blobs.log_dir(job).join("0.stdout");
    put(&log(jobs[0]), 20);
    put(&log(jobs[1]), 5);
    put(&log(1_000_500_000), 20);
    put(&w.ops.blobs.cache_path("orphan.tgz").unwrap(), 3);
    put(&w.ops.blobs.cache_path("young.tgz").unwrap(), 0);
    put(&w.ops.blobs.incoming().join("cut"), 3);
    keep(w, "retention.log_days", "amber", 30).await;
    w.settle().await;
    assert_eq!([jobs[0], jobs[1], 1_000_500_000].map(|j| log(j).exists()), [true, true, false], "amber keeps its logs for 30 days");
    assert_eq!(["orphan.tgz", "young.tgz"].map(|n| has(w, n)), [false, true]);
    assert!(!w.ops.blobs.incoming().join("cut").exists());
    keep(w, "retention.log_days", "amber", 6).await;
    w.settle().await;
    assert_eq!([jobs[0], jobs[1]].map(|j| log(j).exists()), [false, true]);
    assert_eq!(removed(w).await, ["leftovers of : 2", "live logs of : 1", "live logs of amber: 1"]);
}

/// The archive goes when its VO says so, histories earlier; the sizes follow.
async fn archives_go_by_vo(w: &World) {
    w.dataset("user.bob.in", &["f1", "f2"]).await;
    let id = half_done(w, with_output(with_input(prun("user.alice.t", 1), "user.bob:user.bob.in/", 1), "out.root")).await;
    let jobs = task::read::job_ids(&w.ops, &alice(), id).await.unwrap();
    // What was decided on a task and its jobs goes with them, however long such records are kept.
    keep(w, "retention.decision_days", "amber", 0).await;
    let mut batch = Batch::new();
    decision::keep(&mut batch, id.0, "broker");
    w.ops.store.apply(batch).await.unwrap();
    let decided = async || {
        let mut found = decision::history(&w.ops.store, id.0, "broker").await.unwrap();
        for subject in [id.0, jobs[0], jobs[1]] {
            found.extend(decision::list(&w.ops.store, subject).await.unwrap());
        }
        found.iter().map(|d| d.stage.clone()).collect::<Vec<_>>()
    };
    assert_eq!(decided().await, ["broker", "broker", "retry"]);
    w.pass(31 * DAY);
    w.settle().await;
    w.pass(60 * DAY);
    w.settle().await;
    let of = |class: &str, all: &Value| all.as_array().unwrap().iter().find(|l| l["class"] == json!(class)).cloned();
    let shown = report::list(&w.ops, &alice()).await.unwrap();
    let tasks = of("archived tasks", &shown).unwrap();
    assert_eq!((&tasks["vo"], &tasks["rows"], &tasks["keep_days"], &tasks["next"]), (&json!("amber"), &json!(1), &json!(0), &Value::Null));
    assert_eq!(of("archived jobs", &shown).unwrap()["rows"], json!(2));
    assert!(of("archived jobs", &shown).unwrap()["bytes"].as_i64().unwrap() > 500);
    assert_eq!(of("histories", &shown), None, "90 days after the end");
    assert!(archive::job::events(&w.ops.store, JobId(jobs[0])).await.unwrap().is_empty());
    assert!(removed(w).await.contains(&"histories of amber: 2".to_owned()));

    keep(w, "archive.keep_days", "flint", 1).await;
    w.settle().await;
    assert!(archive::job::find(&w.ops.store, JobId(jobs[0])).await.unwrap().is_some(), "another VO's days");
    keep(w, "archive.keep_days", "amber", 100).await;
    w.settle().await;
    let shown = report::list(&w.ops, &alice()).await.unwrap();
    assert!(of("archived tasks", &shown).unwrap()["next"].is_string());
    w.pass(10 * DAY);
    w.settle().await;
    assert!(archive::task::find(&w.ops.store, id).await.unwrap().is_none());
    assert!(archive::job::find(&w.ops.store, JobId(jobs[0])).await.unwrap().is_none());
    assert!(archive::task::datasets(&w.ops.store, id).await.unwrap().is_empty());
    assert_eq!(decided().await, Vec::<String>::new());
    assert!(archive::shift::sizes(&w.ops.store).await.unwrap().iter().all(|s| (s.2, s.3) == (0, 0)));
    assert_eq!(of("archived tasks", &report::list(&w.ops, &alice()).await.unwrap()), None);
}

/// Outputs of a failed attempt that nobody registered go with its job; its log and everything registered stay.
async fn outputs_of_dead_attempts_go(w: &World) {
    let mut params = with_output(prun("user.alice.t", 1), "out.txt");
    params["maxAttempt"] = json!(3);
    let id = w.submit(params).await;
    w.settle().await;
    let dead = w.job().await.unwrap();
    let stored = w.store(&dead, "half");
    w.report(&dead, Reported::Failed, |u| {
        u.errors.insert("pilot_error_code".into(), json!(1305));
    })
    .await;
    w.settle().await;
    let good = w.job().await.unwrap();
    w.finish(&good, "whole").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let place = |stored: &str, end: &str| {
        let stored: Value = serde_json::from_str(stored).unwrap();
        let (_, entry) = stored.as_object().unwrap().iter().find(|(lfn, _)| lfn.ends_with(end)).unwrap();
        panda_ops::storage::local_path(entry["surl"].as_str().unwrap()).unwrap()
    };
    let (output, log) = (place(&stored, "out.txt"), place(&stored, "log.tgz"));
    let registered = place(&w.store(&good, "whole"), "out.txt");
    assert!(output.exists() && log.exists() && registered.exists() && output != registered);
    w.pass(4 * DAY);
    w.settle().await;
    assert!(!output.exists() && log.exists() && registered.exists());
    assert_eq!(removed(w).await, ["outputs of failed attempts of amber: 1"]);
}

/// Merged pre-merge files go a week after the end of their task.
async fn merged_files_go(w: &World) {
    let mut params = with_output(prun("user.alice.t", 2), "out.txt");
    params["mergeOutput"] = json!(true);
    params["mergeSpec"] = json!({"useLocalIO": 1, "jobParameters": "-r . --useLocalIO ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
    let id = w.submit(params).await;
    w.settle().await;
    let mut stored = Vec::new();
    for _ in 0..2 {
        let job = w.job().await.unwrap();
        w.finish(&job, "part").await;
        stored.push(w.store(&job, "part"));
    }
    w.settle().await;
    let merge = w.job().await.unwrap();
    w.finish(&merge, "partpart").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let paths: Vec<_> = stored
        .iter()
        .flat_map(|s| serde_json::from_str::<Value>(s).unwrap().as_object().unwrap().values().cloned().collect::<Vec<_>>())
        .map(|e| panda_ops::storage::local_path(e["surl"].as_str().unwrap()).unwrap())
        .collect();
    w.pass(7 * DAY - 10);
    w.settle().await;
    assert!(paths.iter().all(|p| p.exists()));
    let shown = report::list(&w.ops, &alice()).await.unwrap();
    let line = shown.as_array().unwrap().iter().find(|l| l["class"] == json!("pre-merge files")).unwrap();
    assert!(line["rows"].as_i64().unwrap() >= 2 && line["bytes"].as_i64().unwrap() >= 8, "{line}");
    w.pass(10);
    w.settle().await;
    let left: Vec<_> = paths.iter().filter(|p| p.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    let merged = task::outputs::list(&w.ops, &alice(), id, None, 10).await.unwrap();
    let surl = merged["datasets"][0]["files"][0]["surl"].as_str().unwrap();
    assert!(panda_ops::storage::local_path(surl).unwrap().exists(), "what was merged stays");
    assert!(retention::step(&w.ops).await.unwrap().by.is_empty(), "once");
}

/// Old decisions, workers, machines and lines of the journal go; those of what lives stay.
async fn old_records_go(w: &World) {
    setting::set(&w.ops, &crate::world::operator(), "task.pending_give_up_s", "", "", "0").await.unwrap();
    let ended = half_done(w, with_output(prun("user.alice.t", 2), "out.txt")).await;
    let live = w.submit(with_input(prun("user.alice.u", 1), "user.bob:user.bob.none/", 1)).await;
    w.settle().await;
    assert_eq!(w.task(live).await.state, TaskState::Pending);
    let mut batch = Batch::new();
    let now = w.ops.now().0;
    for task in [ended, live] {
        decision::set(&mut batch, task.0, "test", now, "{}");
    }
    let id = w.ops.store.id(IdKind::Row).await.unwrap();
    worker::add(&mut batch, id, "h", 1, None, "running", now);
    worker::set_node(&mut batch, "S", "n1", "{}", now);
    let line = journal::Line { id: 1, at_us: now, area: "test".into(), what: "x".into(), subject: "y".into(), who: "z".into(), doc: None };
    journal::add(&mut batch, &line);
    w.ops.store.apply(batch).await.unwrap();
    for (days, gone) in [(29, [false; 4]), (1, [false, true, false, false]), (60, [true, true, true, false]), (275, [true; 4])] {
        w.pass(days * DAY);
        w.settle().await;
        let found = [
            decision::list(&w.ops.store, ended.0).await.unwrap().is_empty(),
            worker::get(&w.ops.store, "h", 1).await.unwrap().is_none(),
            worker::node(&w.ops.store, "S", "n1").await.unwrap().is_none(),
            journal::list(&w.ops.store, Some("test"), i64::MAX, 10).await.unwrap().is_empty(),
        ];
        assert_eq!(found, gone, "{days} days more");
    }
    assert_eq!(w.task(live).await.state, TaskState::Pending);
    assert!(!decision::list(&w.ops.store, live.0).await.unwrap().is_empty(), "a task that waits says why");
    let names: Vec<&str> = Class::ALL.iter().map(|c| c.name()).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

/// 2.3, 20.13: what an archived task has put into its output data sets goes, files first, unless somebody at hand may read it; the keeper of the VO's data is
/// to delete it, whatever becomes of that at first.
async fn output_data_sets_go_with_their_keepers(w: &World) {
    let keeper = std::sync::Arc::new(Keeper::default());
    w.ops.plugins.add_data("keeper", keeper.clone());
    setting::set(&w.ops, &crate::world::operator(), "plugin.data", "amber", "", "keeper").await.unwrap();
    keep(w, "retention.dataset_days", "amber", 365).await;
    let id = w.submit(with_output(prun("user.alice.t", 1), "out.txt")).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.finish(&job, "abc").await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Done);
    let find = async |name: &str| dataset::by_name(&w.ops.store, "amber", name).await.unwrap();
    let (out, log) = (find("user.alice.t_out.txt").await.unwrap(), find("user.alice.t.log").await.unwrap());
    let file = dataset::files(&w.ops.store, out.id, "", 10).await.unwrap().remove(0);
    let path = panda_ops::storage::local_path(file.surl.as_deref().unwrap()).unwrap();
    assert!(path.exists() && out.n_files == 1 && log.n_files == 1);
    w.pass(31 * DAY);
    w.settle().await;
    assert!(archive::task::cold(&w.ops.store, id).await.unwrap().is_some());
    w.pass(333 * DAY);
    w.settle().await;
    assert!(path.exists(), "364 days");
    // A task at hand that reads it, whatever its state.
    let reader = w.submit(with_input(prun("user.alice.reader", 1), "user.alice.t_out.txt/", 1)).await;
    w.settle().await;
    w.pass(2 * DAY);
    let due = report::due(&w.ops, &alice()).await.unwrap();
    let classes: Vec<&str> =
        due.as_array().unwrap().iter().filter(|d| d["class"] == "data sets").map(|d| d["examples"][0].as_str().unwrap()).collect();
    assert_eq!(classes, ["user.alice.t.log"], "{due}");
    keeper.set(Mode::Fails);
    retention::step(&w.ops).await.unwrap();
    assert!(path.exists() && find("user.alice.t_out.txt").await.is_some() && find("user.alice.t.log").await.is_none());
    task::command::kill(&w.ops, &alice(), reader).await.unwrap();
    w.settle().await;
    w.pass(31 * DAY);
    w.settle().await;
    w.settle().await;
    assert!(!path.exists() && find("user.alice.t_out.txt").await.is_none());
    assert!(dataset::files(&w.ops.store, out.id, "", 10).await.unwrap().is_empty());
    assert_eq!(removed(w).await.iter().filter(|l| l.starts_with("data sets of amber")).count(), 2);
    assert_eq!(keeper.kept.lock().unwrap().deleted, Vec::<String>::new());
    let said = panda_ops::why::task::why(&w.ops, &alice(), id).await.unwrap()["because"].to_string();
    assert!(said.contains("the removal of output data set user.alice:user.alice.t_out.txt from data plug-in `keeper` failed"), "{said}");
    keeper.set(Mode::Good);
    w.pass(400);
    w.settle().await;
    let mut deleted = keeper.kept.lock().unwrap().deleted.clone();
    deleted.sort();
    assert_eq!(deleted, ["amber user.alice:user.alice.t.log", "amber user.alice:user.alice.t_out.txt"]);
    // A data set that it does not know is deleted: it is not asked again.
    w.pass(4_000);
    w.settle().await;
    assert_eq!(keeper.kept.lock().unwrap().deleted.len(), 2);
}

cases!(
    output_data_sets_go_with_their_keepers,
    uploads_age_from_their_last_use,
    a_retry_finds_its_sandbox,
    logs_and_leftovers_go,
    archives_go_by_vo,
    outputs_of_dead_attempts_go,
    merged_files_go,
    old_records_go,
);

//! Where a task keeps its outputs (`spec/engine.md` sections 5.8, 8.4 and 20.11).

use panda_core::{id::TaskId, job::report::Reported, task::state::TaskState};
use panda_engine::loops::LoopKind;
use panda_ops::{
    endpoint,
    queue::change,
    setting, storage,
    task::{
        steer::{self, Reassign},
        submit,
    },
    why,
};
use panda_store::query::{
    dataset::{self, DatasetFile},
    decision, task,
};
use serde_json::{Map, Value, json};

use crate::world::{World, alice, entry, prod, prun, with_input, with_output};

fn values(v: Value) -> Map<String, Value> {
    v.as_object().cloned().unwrap()
}
/// Says of an endpoint what is known of it; a new one gets a directory of its own.
async fn mark(w: &World, name: &str, v: Value) {
    let mut v = values(v);
    if !w.ops.queues().await.unwrap().storages.endpoints.contains_key(name) {
        v.insert("root".into(), json!(w.dir.path().join(name).display().to_string()));
    }
    endpoint::set(&w.ops, &crate::world::operator(), name, &v).await.unwrap();
}
async fn choose(w: &World, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), "nucleus.choose", "", "", value).await.unwrap();
}
async fn record(w: &World, id: TaskId) -> Value {
    let (_, doc) = decision::get(&w.ops.store, id.0, "nucleus").await.unwrap().unwrap();
    serde_json::from_str(&doc).unwrap()
}
async fn nucleus(w: &World, id: TaskId) -> (TaskState, Option<String>) {
    let t = w.task(id).await;
    (t.state, t.nucleus)
}
fn at(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// Chosen where its input is; its jobs go where there is a way to it; the decision is told filter by filter.
async fn a_nucleus_is_chosen_near_the_input(w: &World) {
    w.queue("FAR", "native").await;
    choose(w, "true").await;
    for name in ["LOCAL_DISK", "FAR_DISK"] {
        mark(w, name, json!({"nucleus": true, "space_free_gb": 200_000})).await;
    }
    let file = |n: i64| DatasetFile { lfn: format!("f{n}"), fsize: Some(2_000_000_000), rse: at("FAR_DISK"), ..DatasetFile::default() };
    w.files("user.bob.in", "closed", (0..4).map(file).collect()).await;
    let id = w.submit(with_output(with_input(prun("user.alice.t", 1), "user.bob.in/", 2), "out.root")).await;
    w.settle_without(&[LoopKind::Generate]).await;
    assert_eq!(nucleus(w, id).await, (TaskState::Assigning, None));
    let waits = why::task::why(&w.ops, &alice(), id).await.unwrap();
    assert_eq!(waits["because"][0], "a storage endpoint for its outputs, its nucleus, is to be chosen");
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("FAR_DISK")));
    let doc = record(w, id).await;
    assert_eq!((&doc["chosen"], &doc["considered"], &doc["passed"]), (&json!("FAR_DISK"), &json!(2), &json!(1)));
    let data = json!({"criterion": "data", "why": "with less than 10 % of the input's bytes or 10 % of its files", "removed": 1, "queues": ["LOCAL_DISK"]});
    assert_eq!(doc["funnel"], json!([data]));
    let told = why::task::why(&w.ops, &alice(), id).await.unwrap();
    let says = |what: &str| told["because"].as_array().unwrap().iter().any(|s| s.as_str().unwrap().contains(what));
    assert!(says("nucleus: FAR_DISK was drawn among 1 nuclei that fit; 2 were looked at"), "{told}");
    assert!(w.job().await.is_none(), "there is no way from the storage of LOCAL");
    let job = w.job_at("FAR").await.unwrap();
    assert_eq!(job["ddmEndPointOut"].as_str().unwrap().split(',').next(), Some("FAR_DISK"));
}

/// No room anywhere: on hold with the sentence; room again: it goes on by itself.
async fn a_task_waits_for_a_nucleus_with_room(w: &World) {
    choose(w, "true").await;
    let id = w.submit(prun("user.alice.t", 2)).await;
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!((t.state, t.prev_state), (TaskState::Pending, Some(TaskState::Assigning)));
    assert_eq!(t.reason.as_deref(), Some("no storage endpoint is marked as a nucleus; `panda storage set NAME nucleus=true` marks one"));
    mark(w, "LOCAL_DISK", json!({"nucleus": true, "space_free_gb": 99_999})).await;
    w.pass(120);
    w.settle().await;
    let t = w.task(id).await;
    let full = "no nucleus of 1 can keep its outputs: 1 with less than 100000 GB of free space (LOCAL_DISK); when they have more free space: LOCAL_DISK";
    assert_eq!((t.state, t.reason.as_deref()), (TaskState::Pending, Some(full)));
    let told = why::task::why(&w.ops, &alice(), id).await.unwrap();
    assert_eq!(told["because"][0], full);
    assert_eq!(record(w, id).await["funnel"][0]["criterion"], "space");
    mark(w, "LOCAL_DISK", json!({"space_free_gb": 100_000})).await;
    w.pass(3_600);
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("LOCAL_DISK")));
    assert!(w.job().await.is_some());
}

/// A reassign to another nucleus takes it; to none, one is chosen anew; what is no nucleus is refused.
async fn a_task_moves_to_another_nucleus(w: &World) {
    w.queue("OTHER", "native").await;
    choose(w, "true").await;
    mark(w, "LOCAL_DISK", json!({"nucleus": true})).await;
    let id = w.submit(with_output(prun("user.alice.t", 2), "out.txt")).await;
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("LOCAL_DISK")));
    let to = |name: &str| Reassign { nucleus: at(name), ..Reassign::default() };
    for (name, want) in [
        ("NOWHERE", "there is no storage endpoint NOWHERE; nuclei are LOCAL_DISK (`panda storage list`)"),
        ("OTHER_DISK", "storage endpoint OTHER_DISK is no nucleus; nuclei are LOCAL_DISK (`panda storage list`)"),
    ] {
        assert_eq!(steer::reassign(&w.ops, &prod(), id, &to(name)).await.unwrap_err().to_string(), want);
    }
    mark(w, "OTHER_DISK", json!({"nucleus": true})).await;
    steer::reassign(&w.ops, &prod(), id, &to("OTHER_DISK")).await.unwrap();
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("OTHER_DISK")));
    assert!(w.job().await.is_none() && w.job_at("OTHER").await.is_some(), "jobs are where the nucleus is");
    mark(w, "OTHER_DISK", json!({"state": "offline"})).await;
    let soft = Reassign { mode: at("soft"), ..Reassign::default() };
    steer::reassign(&w.ops, &prod(), id, &soft).await.unwrap();
    w.settle_without(&[LoopKind::Generate]).await;
    assert_eq!(nucleus(w, id).await, (TaskState::Assigning, None));
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("LOCAL_DISK")));
    assert_eq!(record(w, id).await["funnel"][0]["queues"], json!(["OTHER_DISK"]));
}

/// A process that ends between refinement and choice, or between choice and jobs: one nucleus, each job once.
#[tokio::test]
async fn a_nucleus_is_chosen_once_over_crashes() {
    let mut w = World::on(panda_store::testing::Backend::Sqlite).await;
    choose(&w, "true").await;
    mark(&w, "LOCAL_DISK", json!({"nucleus": true})).await;
    let id = w.submit(prun("user.alice.t", 3)).await;
    w.settle_without(&[LoopKind::Generate]).await;
    w.reopen().await;
    assert_eq!(nucleus(&w, id).await, (TaskState::Assigning, None));
    panda_engine::generate::assign::step(&w.ops, w.ops.now()).await.unwrap();
    w.reopen().await;
    assert_eq!(nucleus(&w, id).await, (TaskState::Ready, at("LOCAL_DISK")));
    w.settle().await;
    assert_eq!(nucleus(&w, id).await, (TaskState::Running, at("LOCAL_DISK")));
    let events = task::list::events(&w.ops.store, id).await.unwrap();
    let chosen = events.iter().filter(|e| e.from.as_deref() == Some("assigning")).count();
    let jobs = panda_store::query::job::list::of_task(&w.ops.store, id, panda_core::id::JobId(0), 10).await.unwrap().len();
    assert_eq!((chosen, jobs, w.broken().await.len()), (1, 3, 0));
    w.close().await;
}

/// A task in `assigning` goes on when the setting is off: with a nucleus that fits, else without one.
async fn tasks_go_on_when_no_nucleus_is_asked_for(w: &World) {
    choose(w, "true").await;
    let id = w.submit(prun("user.alice.t", 1)).await;
    w.settle_without(&[LoopKind::Generate]).await;
    choose(w, "false").await;
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, None));
    // Upstream's word for the same.
    let mut asks = prun("user.alice.world", 1);
    asks["cloud"] = json!("WORLD");
    let id = w.submit(asks).await;
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Pending, None));
    mark(w, "LOCAL_DISK", json!({"nucleus": true})).await;
    w.pass(120);
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("LOCAL_DISK")));
}

/// A task that names its nucleus has it from the beginning; its outputs are written and registered there where the queue's jobs can write there.
async fn outputs_lie_at_the_nucleus(w: &World) {
    let mut params = with_output(prun("user.alice.t", 2), "out.txt");
    params["nucleus"] = json!("N");
    let wrong = submit::submit(&w.ops, &alice(), params.clone(), None).await.unwrap_err().to_string();
    assert!(wrong.contains("parameter `nucleus`: there is no storage endpoint N; none is marked as a nucleus"), "{wrong}");
    mark(w, "N", json!({"nucleus": true})).await;
    change::set(&w.ops, &crate::world::operator(), "LOCAL", &values(json!({"astorages": {"write_lan": ["LOCAL_DISK", "N"]}})))
        .await
        .unwrap();
    let id = w.submit(params).await;
    w.settle().await;
    assert_eq!(nucleus(w, id).await, (TaskState::Running, at("N")));
    let (here, away) = (w.job().await.unwrap(), w.job().await.unwrap());
    assert_eq!(here["ddmEndPointOut"].as_str().unwrap().split(',').collect::<std::collections::BTreeSet<_>>(), ["N"].into());
    let store = |job: &Value, root: &str| {
        let mut report = Map::new();
        for lfn in job["outFiles"].as_str().unwrap().split(',') {
            let path = storage::path(&w.dir.path().join(root), "user.alice", lfn);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            report.insert(lfn.into(), entry(&path, "x"));
        }
        Value::Object(report).to_string()
    };
    for (job, root) in [(&here, "N"), (&away, "elsewhere")] {
        w.report(job, Reported::Running, |_| {}).await;
        let report = store(job, root);
        w.report(job, Reported::Finished, |u| u.report = Some(report)).await;
    }
    w.settle().await;
    let out = dataset::by_name(&w.ops.store, "amber", "user.alice.t_out.txt").await.unwrap().unwrap();
    let files = dataset::files(&w.ops.store, out.id, "", 10).await.unwrap();
    assert_eq!(files.iter().map(|f| f.rse.as_deref()).collect::<Vec<_>>(), [Some("N")]);
    let lost = panda_core::id::JobId(away["PandaID"].as_i64().unwrap());
    let diag = panda_store::query::job::list::get(&w.ops.store, lost).await.unwrap().unwrap().diag.unwrap();
    assert!(diag.ends_with("does not lie in the queue's storage"), "{diag}");
}

cases!(
    a_nucleus_is_chosen_near_the_input,
    a_task_waits_for_a_nucleus_with_room,
    a_task_moves_to_another_nucleus,
    tasks_go_on_when_no_nucleus_is_asked_for,
    outputs_lie_at_the_nucleus,
);

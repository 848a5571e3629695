//! Whose tasks get jobs, and what holds them back.

use panda_access::Principal;
use panda_core::{id::TaskId, task::state::TaskState};
use panda_engine::{
    generate::order,
    loops::{self, LoopKind},
};
use panda_ops::{setting, share, task};
use panda_store::query::{decision, job};
use serde_json::{Value, json};

use crate::world::{World, prod, prun, who, with_output};

async fn step(w: &World, kind: LoopKind) {
    loops::step(kind, &w.ops, w.ops.now()).await.unwrap();
}

async fn jobs(w: &World, id: TaskId) -> i64 {
    job::list::count_task(&w.ops.store, id).await.unwrap().iter().map(|(_, n)| n).sum()
}

async fn throttle(w: &World, limits: &str) {
    let values = json!({"value": 100, "throttled": true});
    share::change::set(&w.ops, &crate::world::operator(), "Undefined", values.as_object().unwrap()).await.unwrap();
    setting::set(&w.ops, &crate::world::operator(), "throttle.limits", "", "", limits).await.unwrap();
}

/// The issue, engine.md 5.4: a task of another VO that comes while a large one gets its jobs is served in the next round, and its first job is the
/// next that is handed out.
async fn a_new_vos_task_gets_its_jobs_between_the_batches_of_a_large_one(w: &World) {
    let large = w.submit(prun("user.alice.large", 5_000)).await;
    step(w, LoopKind::Refine).await;
    for _ in 0..3 {
        step(w, LoopKind::Generate).await;
    }
    for _ in 0..5 {
        w.job().await.unwrap();
    }
    let flint = Principal { vo: Some("flint".into()), ..who("fiona", &[]) };
    let mut params = prun("user.fiona.small", 1);
    params["vo"] = json!("flint");
    let small = task::submit::submit(&w.ops, &flint, params, None).await.unwrap().task_id;
    for _ in 0..10 {
        step(w, LoopKind::Refine).await;
        if w.task(small).await.state == TaskState::Ready {
            break;
        }
    }
    let before = jobs(w, large).await;
    step(w, LoopKind::Generate).await;
    assert_eq!(jobs(w, small).await, 1, "one round");
    let more = jobs(w, large).await - before;
    assert!(more > 0 && more <= 1_000, "a bounded batch of the large one, not all of it: {more}");
    assert_eq!(w.job().await.unwrap()["taskID"], json!(small.0));
}

/// engine.md 10: the task waits with the limit and what frees it, and goes on when that has come.
async fn a_throttled_task_waits_with_the_reason(w: &World) {
    throttle(w, r#"{"NQUEUELIMIT_Undefined": 1}"#).await;
    let first = w.submit(prun("user.alice.first", 3)).await;
    w.settle().await;
    assert_eq!(jobs(w, first).await, 3);
    let second = w.submit(prun("user.alice.second", 2)).await;
    w.settle().await;
    assert_eq!((w.task(second).await.state, jobs(w, second).await), (TaskState::Pending, 0));
    let reason =
        "share `Undefined` has 3 SCORE jobs queued and none running; its limit is 1. Jobs are made again when fewer are queued or some run";
    assert_eq!(w.task(second).await.reason.as_deref(), Some(reason));
    let records = decision::list(&w.ops.store, second.0).await.unwrap();
    let doc: Value = serde_json::from_str(&records.iter().find(|d| d.stage == "throttle").unwrap().doc).unwrap();
    assert_eq!((&doc["reason"], &doc["row"], &doc["limit"]), (&json!(reason), &json!("no_running"), &json!(1)));
    for _ in 0..3 {
        let job = w.job().await.unwrap();
        w.finish(&job, "x").await;
    }
    w.pass(4_000);
    w.settle().await;
    assert_eq!((w.task(second).await.state, jobs(w, second).await), (TaskState::Running, 2));
}

/// engine.md 10: merge jobs are still allowed.
async fn a_throttled_task_still_merges(w: &World) {
    let mut params = with_output(prun("user.alice.t", 1), "out.txt");
    params["mergeOutput"] = json!(true);
    params["mergeSpec"] =
        json!({"useLocalIO": 1, "jobParameters": "-r . -a jobO.x.tar.gz --sourceURL ${SURL} ${TRN_OUTPUT:OUTPUT} ${TRN_LOG:LOG}"});
    let id = w.submit(params).await;
    let other = w.submit(prun("user.alice.other", 1)).await;
    w.settle().await;
    let (a, b) = (w.job().await.unwrap(), w.job().await.unwrap());
    let (mine, running) = if a["taskID"] == json!(id.0) { (a, b) } else { (b, a) };
    assert_eq!(running["taskID"], json!(other.0));
    throttle(w, r#"{"NRUNNINGCAP_Undefined": 0}"#).await;
    w.finish(&mine, "x").await;
    w.settle().await;
    let held = w.submit(prun("user.alice.held", 1)).await;
    w.settle().await;
    assert_eq!(w.task(held).await.state, TaskState::Pending);
    assert_eq!(w.job().await.unwrap()["processingType"], json!("pmerge"));
}

/// engine.md 3.4: jobs of a user's task go down by their serial number, and what the user has counts for the next task; who has every core that the VO
/// uses has 100 less.
async fn jobs_of_users_have_falling_priorities(w: &World) {
    w.submit(prun("user.alice.first", 11)).await;
    w.settle().await;
    let first = w.job().await.unwrap();
    assert_eq!(first["currentPriority"], json!(1_000));
    w.submit(prun("user.alice.second", 1)).await;
    w.settle().await;
    let mut all = vec![1_000];
    while let Some(job) = w.job().await {
        all.push(job["currentPriority"].as_i64().unwrap());
    }
    assert_eq!(all, [1_000, 1_000, 1_000, 1_000, 1_000, 999, 999, 999, 999, 999, 998, 898]);
}

/// 5.4, 20.1: from which priority on tasks are of the express group is a matter of their VO and label.
async fn who_is_express_is_said_for_a_vo_and_label(w: &World) {
    let large = w.submit(prun("user.alice.t", 2)).await;
    let mut params = prun("user.prod.t", 2);
    (params["prodSourceLabel"], params["taskPriority"]) = (json!("managed"), json!(200));
    let small = task::submit::submit(&w.ops, &prod(), params, None).await.unwrap().task_id;
    w.settle_without(&[LoopKind::Generate]).await;
    let turns = async || order::of_waiting(&w.ops, w.ops.now()).await.unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let rows: Vec<usize> = order::of_waiting(&w.ops, w.ops.now()).await.unwrap().into_iter().map(|(_, rows)| rows).collect();
    assert_eq!(rows, [2, 2], "each with what its rows can become");
    assert_eq!(turns().await, [large, small], "by priority");
    setting::set(&w.ops, &crate::world::operator(), "priority.jump_over", "flint", "managed", "100").await.unwrap();
    assert_eq!(turns().await, [large, small], "another VO's");
    setting::set(&w.ops, &crate::world::operator(), "priority.jump_over", "amber", "managed", "100").await.unwrap();
    assert_eq!(turns().await, [small, large], "the express group begins");
}

cases!(
    who_is_express_is_said_for_a_vo_and_label,
    a_new_vos_task_gets_its_jobs_between_the_batches_of_a_large_one,
    a_throttled_task_waits_with_the_reason,
    a_throttled_task_still_merges,
    jobs_of_users_have_falling_priorities,
);

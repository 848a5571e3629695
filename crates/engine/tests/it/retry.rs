//! Ended tasks that are taken up again (`spec/engine.md` sections 4.3, 5.6, 5.7 and 20.9).

use panda_core::{file::FileState, id::TaskId, job::report::Reported, task::state::TaskState};
use panda_ops::{
    setting,
    task::command::{self, Retry},
};
use panda_store::query::decision;
use serde_json::{Value, json};

use crate::world::{World, alice, prod, prun, with_output};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

async fn set(w: &World, name: &str, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), name, "amber", "user", value).await.unwrap();
}
async fn again(w: &World, id: TaskId) {
    assert_eq!(command::retry(&w.ops, &alice(), id, &Retry::default()).await.unwrap().code, 0);
    w.settle().await;
}
async fn again_all_the_same(w: &World, who: &panda_access::Principal, id: TaskId) {
    let args = Retry { ignore_hard_exhausted: true, ..Retry::default() };
    command::retry(&w.ops, who, id, &args).await.unwrap();
    w.settle().await;
}
/// A task of two jobs: one ran an hour and used half of it, the other failed after two. It ends `finished`.
async fn half_done(w: &World, name: &str) -> TaskId {
    let mut params = with_output(prun(name, 2), "out.txt");
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    let job = w.job().await.unwrap();
    w.report(&job, Reported::Running, |_| {}).await;
    w.pass(HOUR);
    let report = w.store(&job, "x");
    w.report(&job, Reported::Finished, |u| {
        u.report = Some(report);
        u.metrics.insert("cpu_consumption_time".into(), json!(1_800));
    })
    .await;
    let job = w.job().await.unwrap();
    w.report(&job, Reported::Running, |_| {}).await;
    w.pass(2 * HOUR);
    w.report(&job, Reported::Failed, |u| drop(u.errors.insert("trans_exit_code".into(), json!(1)))).await;
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Finished);
    id
}
async fn finish_the_rest(w: &World, id: TaskId) {
    while let Some(job) = w.job().await {
        w.finish(&job, "x").await;
        w.settle().await;
    }
    assert_eq!(w.task(id).await.state, TaskState::Done);
}

/// 4.3, 20.9: each gate just beyond and just within its limit, also when the jobs are in the archive.
async fn each_gate_exhausts_a_task(w: &World) {
    let table = [
        ("task.retry_attempts", "0", "1", "it was retried 0 times already, at most 0 are allowed"),
        ("task.retry_job_attempts", "1", "2", "a file of it was tried 1 times already, at most 1 are allowed"),
        ("task.retry_failed_percent", "49", "50", "50% of its jobs failed, at most 49% are allowed"),
        ("task.retry_failed_score_percent", "60", "70", "failed jobs used 67% of its HEP-score time, at most 60% are allowed"),
        ("task.retry_failed_score_hours", "19", "21", "failed jobs used 20 HEP-score hours, at most 19 are allowed"),
        ("task.retry_cpu_efficiency", "51", "50", "its jobs use 50% of their CPU time, at least 51% are wanted"),
    ];
    for (n, (name, beyond, within, why)) in table.into_iter().enumerate() {
        let id = half_done(w, &format!("user.alice.t{n}")).await;
        if n % 2 == 1 {
            w.pass(5 * DAY);
            w.settle().await;
        }
        set(w, name, beyond).await;
        again(w, id).await;
        let t = w.task(id).await;
        let reason = format!("it is not retried: {why} (setting {name}); production may do so all the same with `ignore_hard_exhausted`");
        assert_eq!((t.state, t.reason, t.attempt), (TaskState::Exhausted, Some(reason), 0));
        assert!(w.job().await.is_none());
        set(w, name, within).await;
        again(w, id).await;
        let t = w.task(id).await;
        assert_eq!((t.state, t.reason, t.attempt), (TaskState::Running, None, 1), "{name}");
        finish_the_rest(w, id).await;
        setting::unset(&w.ops, &crate::world::operator(), name, "amber", "user").await.unwrap();
    }
}

/// 4.3: production passes over the gates, users do not; what has nothing to try again meets none.
async fn production_passes_over_the_gates(w: &World) {
    let id = half_done(w, "user.alice.t").await;
    set(w, "task.retry_attempts", "0").await;
    again_all_the_same(w, &alice(), id).await;
    assert_eq!(w.task(id).await.state, TaskState::Exhausted);
    again_all_the_same(w, &prod(), id).await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    // In place nobody is exhausted: it goes on with what it has, and says why.
    let (last, file) = (w.job().await.unwrap(), w.rows(id, "pseudo").await.remove(1));
    assert_eq!(file.state, FileState::Running);
    finish_the_rest_after(w, id, &last).await;
    let mut params = prun("user.alice.u", 2);
    params["maxAttempt"] = json!(1);
    let id = w.submit(params).await;
    w.settle().await;
    let (failing, other) = (w.job().await.unwrap(), w.job().await.unwrap());
    w.fail(&failing, 1).await;
    w.settle().await;
    again(w, id).await;
    assert_eq!((w.task(id).await.state, w.counters(id).await[0].4), (TaskState::Running, 1));
    let said = decision::list(&w.ops.store, id.0).await.unwrap();
    let doc = &said.iter().find(|d| d.stage == "retry").unwrap().doc;
    assert!(doc.contains("it was retried 0 times already"), "{doc}");
    again_all_the_same(w, &prod(), id).await;
    assert_eq!(w.counters(id).await[0].4, 0);
    w.finish(&other, "x").await;
    w.settle().await;
    finish_the_rest(w, id).await;
}
async fn finish_the_rest_after(w: &World, id: TaskId, job: &Value) {
    w.finish(job, "x").await;
    w.settle().await;
    finish_the_rest(w, id).await;
}

/// 5.7: what reads its input anew meets the gates as well.
async fn reading_the_input_anew_meets_the_gates(w: &World) {
    let id = half_done(w, "user.alice.t").await;
    set(w, "task.retry_failed_percent", "10").await;
    command::reload_input(&w.ops, &alice(), id, false).await.unwrap();
    w.settle().await;
    let t = w.task(id).await;
    assert_eq!(t.state, TaskState::Exhausted);
    assert!(t.reason.unwrap().contains("50% of its jobs failed, at most 10% are allowed (setting task.retry_failed_percent)"));
    command::reload_input(&w.ops, &prod(), id, true).await.unwrap();
    w.settle().await;
    assert_eq!(w.task(id).await.state, TaskState::Running);
    finish_the_rest(w, id).await;
}

cases!(each_gate_exhausts_a_task, production_passes_over_the_gates, reading_the_input_anew_meets_the_gates,);

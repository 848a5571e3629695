#![allow(clippy::unwrap_used, clippy::panic)]

use panda_core::{
    file::{FileRole, FileState},
    id::{JobId, TaskId},
    job::{record::JobKind, state::JobState},
    policy::{
        events::{RangeState, Slice},
        split::take::Run,
    },
    task::state::TaskState,
};
use panda_store::{
    Batch,
    query::task::{
        events::{self as store, EventFile},
        file,
    },
};
use serde_json::json;

use super::{Change, MAX_RANGES, acquire, available, name, statuses, update};
use crate::testing::{World, alice, bob, pilot};

/// A running job of two files: one of 25 events, one of 10, in ranges of 10.
async fn job(w: &World) -> (TaskId, JobId, Vec<i64>) {
    let q = w.queue("LOCAL").await;
    let params = json!({"taskName": "user.alice.t", "nEventsPerWorker": 10, "jobParameters": [
        {"type": "template", "param_type": "input", "value": "-i ${IN/T}", "dataset": "user.alice.in"}]});
    let task = w.task(&alice(), TaskState::Running, &params.to_string()).await;
    let set = w.dataset(task, FileRole::Input, 0, &[("a", FileState::Ready), ("b", FileState::Ready)]).await;
    let job = w.job_of(&alice(), Some(task), JobKind::Consumer, q, JobState::Running).await;
    let mut batch = Batch::new();
    file::take(&mut batch, set, &Run { first: 1, last: 2, job: job.0, each: 2 });
    let rows = file::page(&w.ops.store, set, 0, 10).await.unwrap();
    for (f, events) in rows.iter().zip([25, 10]) {
        let slice = Slice { first: 0, events, each: 10 };
        store::add_file(&mut batch, &EventFile { file_id: f.id, task_id: task, slice, n_cut: 0, max_attempt: 2 });
    }
    w.ops.store.apply(batch).await.unwrap();
    (task, job, rows.into_iter().map(|f| f.id).collect())
}
fn says(range: impl ToString, word: &str) -> Change {
    Change { range: range.to_string(), word: word.into(), ..Change::default() }
}

#[tokio::test]
async fn ranges_are_cut_when_a_job_asks() {
    let w = World::new().await;
    let (task, job, files) = job(&w).await;
    let n = async || available(&w.ops, &pilot(), job, Some(task)).await.unwrap();
    assert_eq!(n().await, 4);
    let first = acquire(&w.ops, &pilot(), job, None, 2).await.unwrap();
    let told: Vec<(i64, i64, &str)> = first.iter().map(|(r, f)| (r.first_event, r.last_event, f.lfn.as_str())).collect();
    assert_eq!(told, [(0, 9, "a"), (10, 19, "a")]);
    assert_eq!(name(&first[0].0).to_string(), format!("{task}-{job}-{}-0-0", files[0]));
    assert_eq!(n().await, 2);
    let rest = acquire(&w.ops, &pilot(), job, Some(task), MAX_RANGES).await.unwrap();
    assert_eq!(rest.iter().map(|(r, f)| (r.first_event, r.last_event, f.lfn.as_str())).collect::<Vec<_>>(), [(20, 24, "a"), (0, 9, "b")]);
    assert_eq!((n().await, acquire(&w.ops, &pilot(), job, None, 10).await.unwrap().len()), (0, 0), "an empty list ends the asking");
    // Who is no pilot gets none; another task's number, or a job that is none, has none.
    assert!(acquire(&w.ops, &bob(), job, None, 1).await.is_err());
    assert_eq!(available(&w.ops, &pilot(), job, Some(TaskId(task.0 + 1))).await.unwrap(), 0);
    assert_eq!(acquire(&w.ops, &pilot(), JobId(1), None, 1).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_job_says_counts_once() {
    let w = World::new().await;
    let (_, job, _) = job(&w).await;
    let got = acquire(&w.ops, &pilot(), job, None, 3).await.unwrap();
    let ids: Vec<String> = got.iter().map(|(r, _)| name(r).to_string()).collect();
    let zip = Change { output: Some("zip.1".into()), store_id: Some(7), ..says(&ids[0], "finished") };
    let failed = Change { error: Some(1224), diag: Some("out of luck".into()), ..says(&ids[2], "failed") };
    let list = [zip.clone(), says(&ids[1], "running"), says(&ids[1], "finished"), failed, says("1-2-3", "finished"), says(&ids[1], "luck")];
    let updated = update(&w.ops, &pilot(), &list).await.unwrap();
    assert_eq!(updated.taken, [true, true, true, true, false, false]);
    assert_eq!(serde_json::Value::Object(updated.commands), json!({ job.to_string(): null }));
    // Said again it changes nothing; the attempt that failed has no more to say.
    assert_eq!(update(&w.ops, &pilot(), &[zip, says(&ids[2], "finished")]).await.unwrap().taken, [true, false]);
    let told = statuses(&w.ops, &bob(), &[job]).await.unwrap();
    assert_eq!(told[job.to_string()][&ids[0]], json!({"status": "finished", "error": null, "dialog": null}));
    // What failed is handed out before anything new, as a further attempt; its last one is the end.
    let again = acquire(&w.ops, &pilot(), job, None, 1).await.unwrap();
    assert_eq!((again[0].0.number, again[0].0.attempt, again[0].0.first_event), (2, 1, 20));
    let id = name(&again[0].0);
    assert!(id.to_string().ends_with("-2-1"));
    assert_eq!(update(&w.ops, &pilot(), &[says(id, "failed")]).await.unwrap().taken, [true]);
    let counts = store::count(&w.ops.store, &[again[0].0.file_id]).await.unwrap();
    assert_eq!(counts.iter().map(|c| (c.1, c.3)).collect::<Vec<_>>(), [(RangeState::Failed, 1), (RangeState::Finished, 2)]);
    // Who was killed hears of it.
    crate::job::kill::kill(&w.ops, &alice(), &[job], None, crate::job::kill::Options::default()).await.unwrap();
    let told = update(&w.ops, &pilot(), &[says(&ids[0], "finished")]).await.unwrap();
    assert_eq!(told.commands[&job.to_string()], "tobekilled");
}

#[tokio::test]
async fn two_callers_never_get_the_same_range() {
    let w = World::new().await;
    let (_, job, _) = job(&w).await;
    let who = pilot();
    let asks = (0..8).map(|_| acquire(&w.ops, &who, job, None, 1));
    let mut all: Vec<(i64, i64)> = Vec::new();
    for got in futures_all(asks).await {
        all.extend(got.iter().map(|(r, _)| (r.file_id, r.number)));
    }
    let n = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((n, all.len()), (4, 4));
}

/// Polls all together.
async fn futures_all<T>(asks: impl Iterator<Item = impl Future<Output = Result<T, crate::OpsError>>>) -> Vec<T> {
    let mut asks: Vec<_> = asks.map(|a| (Box::pin(a), None)).collect();
    std::future::poll_fn(|cx| {
        let mut open = false;
        for (ask, got) in asks.iter_mut().filter(|a| a.1.is_none()) {
            match ask.as_mut().poll(cx) {
                std::task::Poll::Ready(answer) => *got = Some(answer.unwrap()),
                std::task::Poll::Pending => open = true,
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    asks.into_iter().filter_map(|a| a.1).collect()
}

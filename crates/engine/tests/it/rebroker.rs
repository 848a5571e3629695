//! Waiting jobs that choose another queue (`spec/engine.md` sections 13.1 and 20.3).

use panda_core::{
    id::{JobId, QueueId, TaskId},
    job::state::JobState,
    task::state::TaskState,
};
use panda_engine::loops::{self, LoopKind};
use panda_ops::{
    pilot::acquire::{Ask, acquire},
    queue::change,
    setting, why,
};
use panda_store::query::{
    job::{self, JobRow},
    task::moved,
};
use serde_json::{Value, json};

use crate::world::{World, alice, pilot, prun};

const HOUR: i64 = 3_600;

async fn watch(w: &World) {
    w.tick();
    while loops::step(LoopKind::Watch, &w.ops, w.ops.now()).await.unwrap().more {}
}
async fn set(w: &World, name: &str, value: &str) {
    setting::set(&w.ops, &crate::world::operator(), name, "", "", value).await.unwrap();
}
async fn jobs(w: &World, id: TaskId) -> Vec<JobRow> {
    job::list::of_task(&w.ops.store, id, JobId(0), 1_000).await.unwrap()
}
/// Jobs at a queue that wait.
async fn waiting(w: &World, id: TaskId, queue: QueueId) -> Vec<JobId> {
    jobs(w, id).await.iter().filter(|j| j.queue_id == Some(queue) && j.state == JobState::Activated).map(|j| j.id).collect()
}
async fn queue(w: &World, name: &str) -> QueueId {
    w.ops.queue(name).await.unwrap().unwrap().id
}

/// A congested queue gives its oldest jobs to another one, and keeps them when there is none.
async fn a_congested_queue_gives_its_oldest_jobs_away(w: &World) {
    let local = queue(w, "LOCAL").await;
    let id = w.submit(prun("user.alice.t", 40)).await;
    w.settle().await;
    let before = waiting(w, id, local).await;
    assert_eq!(before.len(), 40);
    set(w, "rebroker.fast_queued", "10").await;
    w.pass(600);
    watch(w).await;
    assert_eq!(waiting(w, id, local).await.len(), 40, "there is no other queue");
    let other = w.queue("OTHER", "native").await;
    w.pass(600);
    watch(w).await;
    assert_eq!(waiting(w, id, local).await, before[28..], "the largest bound is 0.3 of the 40 jobs of the share; the oldest went");
    let gone = jobs(w, id).await.into_iter().find(|j| j.id == before[0]).unwrap();
    assert_eq!((gone.state, gone.server_error_code), (JobState::Closed, Some(130)));
    let reason =
        "queue LOCAL has 40 jobs of share Undefined waiting and 0 running: the oldest choose another (setting rebroker.fast_queued)";
    let told = why::job::why(&w.ops, &alice(), gone.id).await.unwrap();
    assert_eq!(told["history"].as_array().unwrap().last().unwrap()["reason"], json!(reason), "{told}");
    let left = moved::list(&w.ops.store, id, 0).await.unwrap();
    assert_eq!(left.iter().map(|(q, why, _)| (*q, why.as_str())).collect::<Vec<_>>(), [(local, reason)]);
    w.settle().await;
    assert_eq!((waiting(w, id, local).await.len(), waiting(w, id, other).await.len()), (12, 28), "the queue that they left is avoided");
    assert!(w.rows(id, "pseudo").await.iter().all(|f| f.failed == 0), "nobody's fault");
    let told = why::task::why(&w.ops, &alice(), id).await.unwrap();
    let says = format!("rebroker: 28 jobs were taken away: {reason}");
    assert!(told["because"].as_array().unwrap().contains(&json!(says)), "{told}");
    // Both queues have been left, or hold little enough: nothing goes round in circles.
    for _ in 0..3 {
        w.pass(600);
        watch(w).await;
        w.settle().await;
    }
    assert_eq!((waiting(w, id, local).await.len(), waiting(w, id, other).await.len()), (12, 28));
}

/// Analysis jobs leave a queue after 12 hours when nothing of their task gets on there, an offline one after 3; not when they may not, or cannot.
async fn analysis_jobs_leave_a_queue_where_nothing_gets_on(w: &World) {
    let local = queue(w, "LOCAL").await;
    let submit = async |name: &str, key: &str, value: Value| {
        let mut params = prun(&format!("user.alice.{name}"), 3);
        params[key] = value;
        w.submit(params).await
    };
    let busy = submit("busy", "site", json!(null)).await;
    let free = submit("free", "site", json!(null)).await;
    let pinned = submit("pinned", "site", json!("LOCAL")).await;
    let kept = submit("kept", "disableReassign", json!(true)).await;
    let last = submit("last", "maxAttempt", json!(1)).await;
    w.settle().await;
    let other = w.queue("OTHER", "native").await;
    w.pass(11 * HOUR);
    // One job of the first task runs and ends.
    let ask = Ask { queue: "LOCAL".into(), label: Some("unified".into()), task_id: Some(busy), n: 1, ..Ask::default() };
    let job: Value = serde_json::from_str(&acquire(&w.ops, &pilot(), &ask).await.unwrap()[0]).unwrap();
    w.finish(&job, "x").await;
    w.settle().await;
    let waits = async |id: TaskId| waiting(w, id, local).await.len();
    let all = async || (waits(busy).await, waits(free).await, waits(pinned).await, waits(kept).await);
    w.pass(HOUR - 60);
    watch(w).await;
    assert_eq!(all().await, (2, 3, 3, 3), "not yet");
    w.pass(660);
    watch(w).await;
    assert_eq!(all().await, (2, 0, 3, 3), "a task that gets on waits; so does who must stay");
    assert_eq!(waits(last).await, 3, "to be taken away would spend their last attempt");
    w.pass(2 * HOUR);
    watch(w).await;
    assert_eq!(all().await, (0, 0, 3, 3), "3 hours after its last job ended");
    w.settle().await;
    let moved = waiting(w, busy, other).await.len();
    assert_eq!((moved, waiting(w, free, other).await.len()), (2, 3));
    let gone = jobs(w, busy).await.into_iter().find(|j| j.state == JobState::Closed).unwrap();
    assert_eq!((gone.sub_state.as_deref(), gone.server_error_code), (Some("toreassign"), Some(100)));
    let told = why::job::why(&w.ops, &alice(), gone.id).await.unwrap();
    let reason = told["history"].as_array().unwrap().last().unwrap()["reason"].as_str().unwrap().to_owned();
    assert_eq!(
        reason,
        "waited at queue LOCAL for more than 12 hours, where no job of its task has got on for 3 hours: it chooses another (setting rebroker.idle_s)"
    );
    assert_eq!(w.task(busy).await.state, TaskState::Running);
    // An offline queue is left after three hours; it has nobody else to go to but the queue that was left before.
    set(w, "broker.moved_s", "1").await;
    change::set(&w.ops, &crate::world::operator(), "OTHER", json!({"state": "offline"}).as_object().unwrap()).await.unwrap();
    w.pass(3 * HOUR - 60);
    watch(w).await;
    assert_eq!(waiting(w, busy, other).await.len(), moved, "not yet");
    w.pass(600);
    watch(w).await;
    w.settle().await;
    assert_eq!((waiting(w, busy, other).await.len(), waits(busy).await), (0, moved));
}

cases!(a_congested_queue_gives_its_oldest_jobs_away, analysis_jobs_leave_a_queue_where_nothing_gets_on);

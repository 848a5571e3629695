use panda_core::{
    id::{JobId, TaskId},
    job::state::JobState,
    task::state::TaskState,
};
use panda_store::{
    Batch,
    query::{job, snapshot},
};
use serde_json::json;

use super::{change::*, reassign, show::show, *};
use crate::{
    pilot::acquire::{Ask, acquire},
    queue::LaneOf,
    setting,
    testing::{World, alice, bob, operator, site_pilot},
};

fn values(v: Value) -> Map<String, Value> {
    v.as_object().unwrap().clone()
}

async fn put(w: &World, name: &str, v: Value) {
    set(&w.ops, &operator(), name, &values(v)).await.unwrap();
}

/// An activated job of a VO in a share.
async fn waiting(w: &World, queue: panda_core::id::QueueId, vo: &str, share: &str) -> JobId {
    let id = w.job(&alice(), None, queue, JobState::Activated).await;
    into_lane(w, id, queue, vo, share).await;
    id
}

async fn into_lane(w: &World, id: JobId, queue: panda_core::id::QueueId, vo: &str, share: &str) {
    let old = w.job_row(id).await.lane_id.unwrap();
    let of = LaneOf { queue, vo, label: "user", share, resource_type: "SCORE", ram_mb: 0 };
    let new = w.ops.lane(&of).await.unwrap();
    let mut batch = Batch::new();
    job::transition::relane(&mut batch, &[id.0], old, new, w.ops.now().0);
    w.ops.store.apply(batch).await.unwrap();
}

fn ask() -> Ask {
    Ask { queue: "LOCAL".into(), label: Some("user".into()), n: 1, ..Ask::default() }
}

async fn take(w: &World) -> Option<JobId> {
    let answers = acquire(&w.ops, &site_pilot(), &ask()).await.unwrap();
    let first = answers.first()?;
    serde_json::from_str::<Value>(first).unwrap()["PandaID"].as_i64().map(JobId)
}

#[tokio::test]
async fn shares_are_set_checked_and_removed() {
    let w = World::new().await;
    let refused = async |name: &str, v: Value| set(&w.ops, &operator(), name, &values(v)).await.unwrap_err().to_string();
    assert!(set(&w.ops, &alice(), "A", &values(json!({"value": 10}))).await.is_err(), "not for everybody");
    assert!(refused("A", json!({"parent": ""})).await.contains("give its value"));
    put(&w, "Production", json!({"value": "60", "label": "managed|test"})).await;
    put(&w, "Simulation", json!({"value": 75, "parent": "Production", "processing_type": "simul", "throttled": "true"})).await;
    assert!(refused("Other", json!({"value": 50})).await.contains("sum up to 110 %"));
    assert!(refused("B", json!({"value": 1, "parent": "none"})).await.contains("its parent `none` does not exist"));
    assert!(refused("Production", json!({"parent": "Simulation"})).await.contains("each other's parents"));
    assert!(refused("B", json!({"value": 1, "user": "("})).await.contains("rule user `(` is no regular expression"));
    assert!(refused("B", json!({"value": 1, "colour": "red"})).await.contains("`colour` is unknown; possible are parent, value"));
    assert!(refused("B", json!({"value": "much"})).await.contains("value must be a percentage"));
    let held = w.ops.shares().await.unwrap();
    let node = held.tree.get("Simulation").unwrap();
    assert!(node.share.throttled && (node.target - 0.6).abs() < 1e-9);
    put(&w, "Production", json!({"value": 50, "label": ""})).await;
    assert_eq!(w.ops.shares().await.unwrap().tree.get("Production").unwrap().share.rules.count(), 0);
    assert!(remove(&w.ops, &operator(), "Production").await.unwrap_err().to_string().contains("remove `Simulation`"));
    remove(&w.ops, &operator(), "Simulation").await.unwrap();
    remove(&w.ops, &operator(), "Production").await.unwrap();
    assert_eq!(w.ops.shares().await.unwrap().tree.nodes().len(), 1);
    assert!(remove(&w.ops, &operator(), "Production").await.is_err());
}

/// engine.md 9.1: rules are anchored; the site's default by VO and label; `Undefined` otherwise.
#[tokio::test]
async fn a_task_gets_its_leaf() {
    let w = World::new().await;
    put(&w, "Group", json!({"value": 40, "working_group": "higgs.*", "vo": "amber"})).await;
    put(&w, "Users", json!({"value": 40})).await;
    let of = async |group: &str, label: &str| {
        let facts = Facts { vo: "amber", label, working_group: group, ..Facts::default() };
        of(&w.ops, &facts).await.unwrap()
    };
    assert_eq!(of("higgs-top", "user").await, "Group");
    assert_eq!(of("my-higgs", "user").await, UNDEFINED, "the whole value must fit");
    setting::set(&w.ops, &operator(), "share.default", "amber", "user", "Users").await.unwrap();
    assert_eq!((of("", "user").await.as_str(), of("", "managed").await.as_str()), ("Users", UNDEFINED));
    setting::set(&w.ops, &operator(), "share.default", "amber", "user", "Gone").await.unwrap();
    assert_eq!(of("", "user").await, UNDEFINED, "a default that is no leaf is no default");
}

/// engine.md 9.2: the share that is furthest below its target goes first, then priority, then the oldest.
#[tokio::test]
async fn jobs_are_handed_out_by_share_priority_and_age() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "Large", json!({"value": 75})).await;
    put(&w, "Small", json!({"value": 25})).await;
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        large.push(waiting(&w, q, "amber", "Large").await);
    }
    for _ in 0..3 {
        small.push(waiting(&w, q, "amber", "Small").await);
    }
    let urgent = large.pop().unwrap();
    let mut batch = Batch::new();
    job::transition::set_priority(&mut batch, urgent, 1_000, 2_000, w.ops.now().0);
    w.ops.store.apply(batch).await.unwrap();
    let mut order = Vec::new();
    while let Some(id) = take(&w).await {
        order.push(id);
    }
    assert_eq!(order.len(), 12);
    for part in order.chunks(4) {
        assert_eq!(part.iter().filter(|id| small.contains(id)).count(), 1, "{order:?}");
    }
    assert_eq!(order.iter().find(|id| !small.contains(id)), Some(&urgent));
    let oldest: Vec<&JobId> = order.iter().filter(|id| large.contains(id)).collect();
    assert!(oldest.is_sorted());
}

/// The issue: one VO's backlog does not hold up another's first job, without any share configured.
#[tokio::test]
async fn another_vos_first_job_is_the_next_one() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    for _ in 0..30 {
        waiting(&w, q, "amber", UNDEFINED).await;
    }
    for _ in 0..10 {
        take(&w).await.unwrap();
    }
    let first = waiting(&w, q, "flint", UNDEFINED).await;
    assert_eq!(take(&w).await, Some(first));
}

/// engine.md 9.2: so many of a hundred take the oldest job, whatever its priority; the order of shares holds for the others.
#[tokio::test]
async fn a_part_of_the_dispatches_goes_by_age() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let mut ids = Vec::new();
    for n in 0..8 {
        let id = waiting(&w, q, "amber", UNDEFINED).await;
        let mut batch = Batch::new();
        job::transition::set_priority(&mut batch, id, 1_000, 1_000 + n, w.ops.now().0);
        w.ops.store.apply(batch).await.unwrap();
        ids.push(id);
    }
    setting::set(&w.ops, &operator(), "dispatch.age_percent", "", "", "50").await.unwrap();
    let mut order = Vec::new();
    while let Some(id) = take(&w).await {
        order.push(ids.iter().position(|i| *i == id).unwrap());
    }
    assert_eq!(order, [7, 0, 6, 1, 5, 2, 4, 3]);
}

/// engine.md 9.3 and 20.4: a slot must have nine tenths of a job's memory; a pseudo queue names queue and resource type.
#[tokio::test]
async fn a_slot_with_nine_tenths_of_the_memory_does() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let id = waiting(&w, q, "amber", UNDEFINED).await;
    let mut row = w.job_row(id).await;
    (row.id, row.ram_mb) = (JobId(w.ops.store.id(panda_store::IdKind::Job).await.unwrap()), 2_000);
    let of = LaneOf { queue: q, vo: "amber", label: "user", share: UNDEFINED, resource_type: "SCORE", ram_mb: 2_000 };
    row.lane_id = Some(w.ops.lane(&of).await.unwrap());
    let mut batch = Batch::new();
    job::transition::add(&mut batch, &row, 0, "\"jobPars\":\"x\"", panda_core::machine::Actor::Engine).unwrap();
    w.ops.store.apply(batch).await.unwrap();
    take(&w).await.unwrap();
    let with = async |queue: &str, memory_mb| {
        let ask = Ask { queue: queue.into(), memory_mb, ..ask() };
        acquire(&w.ops, &site_pilot(), &ask).await.unwrap().len()
    };
    assert_eq!((with("LOCAL", 1_700).await, with("LOCAL/MCORE", 1_800).await, with("LOCAL/SCORE", 1_800).await), (0, 0, 1));
}

#[tokio::test]
async fn the_share_test_goes_first() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "Test", json!({"value": 1})).await;
    put(&w, "Large", json!({"value": 99})).await;
    waiting(&w, q, "amber", "Large").await;
    let tests = [waiting(&w, q, "amber", "Test").await, waiting(&w, q, "amber", "Test").await];
    assert_eq!([take(&w).await.unwrap(), take(&w).await.unwrap()], tests);
}

/// Moved jobs are handed out by their new share; jobs with pilots count for it when that is asked for.
#[tokio::test]
async fn a_task_moves_to_another_share_with_its_jobs() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "Parent", json!({"value": 50})).await;
    put(&w, "Leaf", json!({"value": 50, "parent": "Parent"})).await;
    let t = w.task(&alice(), TaskState::Running, "{}").await;
    let (ready, running) = (w.job(&alice(), Some(t), q, JobState::Activated).await, w.job(&alice(), Some(t), q, JobState::Running).await);
    let share_of = async |id: JobId| {
        let lane = w.job_row(id).await.lane_id.unwrap();
        w.ops.queues_changed().await.unwrap().lane(lane).unwrap().share.clone()
    };
    let move_to = async |share: &str, running| reassign::share(&w.ops, &operator(), &[t], share, running).await.unwrap().0;
    assert!(reassign::share(&w.ops, &alice(), &[t], "Leaf", false).await.is_err(), "not for everybody");
    assert_eq!((move_to("Parent", false).await, move_to("Nowhere", false).await), (reassign::CODE_NO_LEAF, reassign::CODE_NO_LEAF));
    assert_eq!(move_to("Leaf", false).await, 0);
    assert_eq!((share_of(ready).await.as_str(), share_of(running).await.as_str()), ("Leaf", UNDEFINED));
    assert_eq!(w.task_row(t).await.share_name.as_deref(), Some("Leaf"));
    assert_eq!(move_to("Leaf", true).await, 0);
    assert_eq!(share_of(running).await, "Leaf");
    assert_eq!(reassign::leftovers(&w.ops).await.unwrap(), 0);
    assert_eq!(take(&w).await, Some(ready));
}

/// engine.md 3.4: below the jump-over threshold a user's jobs do not have the task's priority; others move with it.
#[tokio::test]
async fn a_tasks_priority_moves_its_jobs() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let t = w.task(&alice(), TaskState::Running, "{}").await;
    let id = w.job(&alice(), Some(t), q, JobState::Activated).await;
    let at = async |n| {
        assert!(reassign::priority(&w.ops, &operator(), t, n).await.unwrap());
        -w.job_row(id).await.neg_priority
    };
    assert_eq!((at(1_200).await, at(1_500).await, at(3_000).await, at(900).await), (1_000, 1_500, 3_000, 1_000));
    assert_eq!(w.task_row(t).await.priority, 900);
    assert!(!reassign::priority(&w.ops, &operator(), TaskId(1), 5).await.unwrap());
    setting::set(&w.ops, &operator(), "label.class", "", "user", "production").await.unwrap();
    assert_eq!(at(950).await, 1_050);
}

#[tokio::test]
async fn shares_are_shown_with_what_they_use() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "Parent", json!({"value": 50})).await;
    put(&w, "Leaf", json!({"value": 50, "parent": "Parent"})).await;
    let id = w.job(&bob(), None, q, JobState::Running).await;
    into_lane(&w, id, q, "amber", "Leaf").await;
    w.job(&bob(), None, q, JobState::Activated).await;
    let shown = show(&w.ops, &alice(), None).await.unwrap();
    let of = |name: &str| shown.as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone();
    for name in ["Parent", "Leaf"] {
        let s = of(name);
        assert_eq!(
            (s["running"].as_i64(), s["cores"].as_i64(), s["queued"].as_i64(), s["ratio"].as_f64()),
            (Some(1), Some(1), Some(0), Some(2.0))
        );
    }
    assert_eq!(of(UNDEFINED)["queued"], 1);
    assert_eq!(of("Leaf")["vos"], json!([{"vo": "amber", "running": 1, "cores": 1, "queued": 0, "part": 1.0}]));
    assert_eq!((of("Leaf")["difference"].as_f64(), of("Parent")["difference"].as_f64()), (Some(0.5), Some(0.5)));
    assert_eq!((of(UNDEFINED)["rank"].as_i64(), of("Leaf")["rank"].is_null()), (Some(1), true), "only what waits has a rank");
    assert_eq!(show(&w.ops, &alice(), Some("Leaf")).await.unwrap().as_array().unwrap().len(), 1);
    assert!(show(&w.ops, &alice(), Some("Nowhere")).await.is_err());
}

/// The order that is shown is that of the dispatch, and looking at it neither changes it nor makes a process one that hands out jobs.
#[tokio::test]
async fn shares_are_ranked_as_they_are_served() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "Large", json!({"value": 75})).await;
    put(&w, "Small", json!({"value": 25})).await;
    let ranks = async || {
        let shown = show(&w.ops, &alice(), None).await.unwrap();
        let of = |name: &str| shown.as_array().unwrap().iter().find(|s| s["name"] == name).unwrap()["rank"].as_i64();
        (of("Large"), of("Small"), of(UNDEFINED))
    };
    assert_eq!(ranks().await, (None, None, None), "nothing waits");
    let running = w.job(&alice(), None, q, JobState::Running).await;
    into_lane(&w, running, q, "amber", "Large").await;
    let (_large, small) = (waiting(&w, q, "amber", "Large").await, waiting(&w, q, "beryl", "Small").await);
    w.pass(11);
    for _ in 0..3 {
        assert_eq!(ranks().await, (Some(2), Some(1), None), "Large uses everything");
    }
    assert!(snapshot::kind(&w.ops.store, "dispatching").await.unwrap().is_empty(), "looking is no dispatch");
    assert_eq!(take(&w).await, Some(small));
    // A share that was taken away: its jobs are told with what matches nothing, by its name.
    into_lane(&w, running, q, "amber", "Gone").await;
    w.pass(11);
    let shown = show(&w.ops, &alice(), Some(UNDEFINED)).await.unwrap();
    assert_eq!((shown[0]["running"].as_i64(), &shown[0]["unknown"]), (Some(1), &json!(["Gone"])));
}

/// engine.md 9.1 and 20.4: what is used is cores times their power.
#[tokio::test]
async fn shares_follow_the_power_of_cores() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    put(&w, "A", json!({"value": 50})).await;
    put(&w, "B", json!({"value": 50})).await;
    let strong = w.queue("STRONG").await;
    crate::queue::change::set(&w.ops, &operator(), "STRONG", &values(json!({"corepower": 30}))).await.unwrap();
    // A has two cores of 10, B one of 30.
    for _ in 0..2 {
        let id = w.job(&alice(), None, q, JobState::Running).await;
        into_lane(&w, id, q, "amber", "A").await;
    }
    let id = w.job(&alice(), None, strong, JobState::Running).await;
    into_lane(&w, id, strong, "amber", "B").await;
    let (a, _b) = (waiting(&w, q, "amber", "A").await, waiting(&w, q, "amber", "B").await);
    w.pass(11);
    assert_eq!(take(&w).await, Some(a));
}

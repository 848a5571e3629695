use panda_access::Principal;
use panda_core::{
    id::{JobId, QueueId, TaskId},
    job::state::JobState,
    policy::share::UNDEFINED,
    setting::dispatch::{GROUP_JOBS, LIMITS, USER_JOBS, VO_CORES},
    task::state::TaskState,
};
use panda_store::{
    Batch,
    query::{
        decision,
        task::{self, TaskRow},
    },
};
use serde_json::{Value, json};

use super::{
    cap::{self, Whose},
    shift,
    throttle::{Answer, ask},
};
use crate::{
    pilot::acquire::{Ask, acquire},
    setting, share,
    testing::{World, alice, bob, operator, pilot},
};

async fn set(w: &World, name: &str, vo: &str, value: &str) {
    setting::set(&w.ops, &operator(), name, vo, "", value).await.unwrap();
}

async fn jobs(w: &World, who: &Principal, task: TaskId, queue: QueueId, state: JobState, n: usize) -> Vec<JobId> {
    let mut out = Vec::new();
    for _ in 0..n {
        out.push(w.job(who, Some(task), queue, state).await);
    }
    out
}

async fn states(w: &World, ids: &[JobId]) -> Vec<&'static str> {
    let mut out = Vec::new();
    for id in ids {
        out.push(w.job_row(*id).await.state.as_str());
    }
    out
}

/// engine.md 10: nothing is throttled when the share's flag is off; the reason names the limit and what frees it.
#[tokio::test]
async fn a_throttled_share_makes_no_jobs_beyond_its_limit() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let t = w.task(&alice(), TaskState::Running, "{}").await;
    set(&w, LIMITS.name, "amber", r#"{"NQUEUELIMIT_Undefined_SCORE*": 2}"#).await;
    jobs(&w, &alice(), t, q, JobState::Activated, 3).await;
    w.pass(11);
    let asked = async || ask(&w.ops, &w.task_row(t).await, "SCORE").await.unwrap();
    assert_eq!(asked().await, Answer::Go(None), "not throttled");
    let values = json!({"value": 100, "throttled": true});
    share::change::set(&w.ops, &operator(), UNDEFINED, values.as_object().unwrap()).await.unwrap();
    let Answer::Hold(hold) = asked().await else { panic!("not held") };
    assert_eq!(
        (hold.stage, hold.reason.as_str()),
        (
            "throttle",
            "share `Undefined` has 3 SCORE jobs queued and none running; its limit is 2. Jobs are made again when fewer are queued or some run"
        )
    );
    let doc: Value = serde_json::from_str(&hold.doc).unwrap();
    assert_eq!((doc["row"].as_str(), doc["found"].as_i64(), doc["limit"].as_i64()), (Some("no_running"), Some(3), Some(2)));
    assert!(matches!(ask(&w.ops, &w.task_row(t).await, "MCORE").await.unwrap(), Answer::Go(Some(_))), "another type has its own limit");
    // A task of production that goes before everything that is queued.
    setting::set(&w.ops, &operator(), "label.class", "", "user", "production").await.unwrap();
    let before = w.task_row(t).await;
    let mut batch = Batch::new();
    task::transition::set(&mut batch, &before, &TaskRow { priority: 1_001, ..before.clone() }, w.ops.now().0);
    w.ops.store.apply(batch).await.unwrap();
    assert_eq!(asked().await, Answer::Go(Some(250)));
}

/// engine.md 20.9: caps of users, groups and VOs on what is made.
#[tokio::test]
async fn caps_hold_users_groups_and_vos() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let t = w.task(&alice(), TaskState::Running, "{}").await;
    jobs(&w, &alice(), t, q, JobState::Running, 2).await;
    w.pass(11);
    let person = w.ops.person(&alice()).await.unwrap().id;
    let reason = async |group: &str| {
        let whose = Whose { person, vo: "amber", group };
        cap::ask(&w.ops, &whose).await.unwrap().map(|h| h.reason)
    };
    assert_eq!(reason("").await, None);
    set(&w, USER_JOBS.name, "amber", "2").await;
    assert_eq!(
        reason("").await.unwrap(),
        "user `alice` has 2 jobs running; the cap lets jobs be made below 2. They are made again when some have ended"
    );
    set(&w, USER_JOBS.name, "amber", "3").await;
    assert_eq!(reason("").await, None);
    set(&w, VO_CORES.name, "amber", "2").await;
    assert!(reason("").await.unwrap().starts_with("VO `amber` has 2 cores running"));
    set(&w, VO_CORES.name, "amber", "200").await;
    let before = w.task_row(t).await;
    let mut batch = Batch::new();
    task::transition::move_to(
        &mut batch,
        &before,
        &TaskRow { state: TaskState::Pending, ..before.clone() },
        panda_core::machine::Actor::Engine,
        w.ops.now().0,
        None,
    )
    .unwrap();
    w.ops.store.apply(batch).await.unwrap();
    set(&w, GROUP_JOBS.name, "amber", "1").await;
    assert_eq!(reason("").await, None);
    assert_eq!(reason("higgs").await, None, "the group has nothing");
}

/// engine.md 20.9: what is queued is held at 0.95 of the cap and comes back below 0.85; never more than the cap runs.
#[tokio::test]
async fn queued_jobs_of_a_user_are_held_and_come_back() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let (a, b) = (w.task(&alice(), TaskState::Running, "{}").await, w.task(&bob(), TaskState::Running, "{}").await);
    let mine = jobs(&w, &alice(), a, q, JobState::Activated, 6).await;
    let yours = jobs(&w, &bob(), b, q, JobState::Activated, 1).await;
    set(&w, USER_JOBS.name, "amber", "4").await;
    w.pass(11);
    assert_eq!(shift::step(&w.ops).await.unwrap(), 2);
    assert_eq!(states(&w, &mine).await, ["activated", "activated", "activated", "activated", "throttled", "throttled"]);
    let held = decision::list(&w.ops.store, mine[5].0).await.unwrap();
    assert!(held[0].doc.contains("user `alice` has a cap of 4 running jobs; the job is let go when less is running"), "{held:?}");
    let mut taken = 0;
    while !acquire(&w.ops, &pilot(), &Ask { queue: "LOCAL".into(), label: Some("user".into()), n: 1, ..Ask::default() })
        .await
        .unwrap()
        .is_empty()
    {
        taken += 1;
    }
    assert_eq!(taken, 5, "four of one user, and the other's");
    assert_eq!(states(&w, &yours).await, ["sent"]);
    w.pass(11);
    assert_eq!(shift::step(&w.ops).await.unwrap(), 0, "all that may run does");
    setting::unset(&w.ops, &operator(), USER_JOBS.name, "amber", "").await.unwrap();
    assert_eq!(shift::step(&w.ops).await.unwrap(), 2, "the cap is gone");
    assert_eq!(states(&w, &mine[4..]).await, ["activated", "activated"]);
    assert!(decision::list(&w.ops.store, mine[5].0).await.unwrap().is_empty());
    set(&w, VO_CORES.name, "amber", "7").await;
    w.pass(11);
    assert_eq!(shift::step(&w.ops).await.unwrap(), 0, "five run, two may");
    set(&w, VO_CORES.name, "amber", "6").await;
    assert_eq!(shift::step(&w.ops).await.unwrap(), 1, "one more may start");
}

/// What people see of caps and throttles is what holds jobs back.
#[tokio::test]
async fn caps_and_throttles_are_shown_with_what_they_hold() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let shown = async || {
        w.pass(11);
        super::show::show(&w.ops, &bob()).await.unwrap()
    };
    assert_eq!(shown().await, json!({"caps": [], "more_caps": 0, "throttles": [], "settings": []}));
    let t = w.task(&alice(), TaskState::Running, "{}").await;
    jobs(&w, &alice(), t, q, JobState::Running, 2).await;
    jobs(&w, &alice(), t, q, JobState::Activated, 3).await;
    let other = w.task(&bob(), TaskState::Running, "{}").await;
    jobs(&w, &bob(), other, q, JobState::Running, 1).await;
    set(&w, USER_JOBS.name, "amber", "2").await;
    set(&w, VO_CORES.name, "amber", "100").await;
    set(&w, LIMITS.name, "", r#"{"NQUEUELIMIT_Undefined": 2, "NRUNNINGCAP_Undefined": 9}"#).await;
    let values = json!({"value": 100, "throttled": true});
    share::change::set(&w.ops, &operator(), UNDEFINED, values.as_object().unwrap()).await.unwrap();
    let seen = shown().await;
    let caps: Vec<(&str, &str, i64, i64)> = seen["caps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["whose"].as_str().unwrap(), c["name"].as_str().unwrap(), c["running"].as_i64().unwrap(), c["queued"].as_i64().unwrap()))
        .collect();
    assert_eq!(caps, [("user", "alice", 2, 3), ("user", "bob", 1, 0), ("vo", "amber", 3, 3)], "the fullest first");
    assert_eq!((&seen["caps"][0]["jobs"], &seen["caps"][0]["cores"]), (&json!(2), &Value::Null));
    assert!(seen["caps"][0]["reason"].as_str().unwrap().starts_with("user `alice` has 2 jobs running"), "{seen}");
    assert_eq!(seen["caps"][1]["reason"], Value::Null);
    let throttle = &seen["throttles"][0];
    assert_eq!(
        (&throttle["share"], &throttle["resource_type"], &throttle["queue_limit"], &throttle["running_cap"], &throttle["queue_cap"]),
        (&json!(UNDEFINED), &json!("SCORE"), &json!(2), &json!(9), &Value::Null)
    );
    assert_eq!(throttle["reason"], Value::Null, "three are queued for three running ones");
    assert_eq!(seen["settings"].as_array().unwrap().len(), 3);
    jobs(&w, &alice(), t, q, JobState::Activated, 5).await;
    let seen = shown().await;
    assert!(seen["throttles"][0]["reason"].as_str().unwrap().contains("8 SCORE jobs queued for 3 running ones; its limit is 2"), "{seen}");
}

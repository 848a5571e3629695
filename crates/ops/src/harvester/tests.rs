#![allow(clippy::unwrap_used, clippy::panic)]

use panda_core::job::state::JobState;
use panda_store::query::worker;
use serde_json::{Value, json};

use super::{
    command::{self, Sweep},
    overview, report,
    slots::{self, Target},
    ups, workers,
};
use crate::{
    OpsError, queue,
    testing::{World, alice, operator, pilot, prod, site_pilot},
};

const HV: &str = "hv-1";

/// A queue that an instance serves.
async fn served(w: &World, name: &str, workflow: &str) -> panda_core::id::QueueId {
    let id = w.queue(name).await;
    let values = json!({"pilot_manager": "Harvester", "harvester": HV, "capability": "ucore", "workflow": workflow});
    queue::change::set(&w.ops, &operator(), name, values.as_object().unwrap()).await.unwrap();
    id
}

async fn tell(w: &World, workers: Value) -> Vec<bool> {
    workers::update(&w.ops, &pilot(), HV, workers.as_array().unwrap().clone()).await.unwrap()
}

async fn state(w: &World, number: i64) -> Option<(String, Option<String>)> {
    worker::get(&w.ops.store, HV, number).await.unwrap().map(|w| (w.state, w.batch_id))
}

fn found(state: &str, batch: &str) -> Option<(String, Option<String>)> {
    Some((state.to_owned(), Some(batch.to_owned())))
}

#[tokio::test]
async fn a_final_state_sticks_until_the_number_is_another_worker() {
    let w = World::new().await;
    served(&w, "Q", "pull").await;
    assert!(matches!(workers::update(&w.ops, &alice(), HV, vec![]).await, Err(OpsError::Denied(_))));
    let one = |state: &str, batch: &str| json!([{"workerID": "1", "status": state, "batchID": batch, "computingSite": "Q"}]);
    for (said, batch, want) in [
        ("submitted", "b1", found("submitted", "b1")),
        ("running", "b1", found("running", "b1")),
        ("missed", "b1", found("missed", "b1")),
        ("running", "b1", found("missed", "b1")),
        ("submitted", "b2", found("submitted", "b2")),
        ("finished", "b2", found("finished", "b2")),
    ] {
        assert_eq!(tell(&w, one(said, batch)).await, [true], "{said} {batch}");
        assert_eq!(state(&w, 1).await, want, "{said} {batch}");
    }
    w.pass(4 * 3_600);
    tell(&w, one("submitted", "b2")).await;
    assert_eq!(state(&w, 1).await, found("submitted", "b2"), "four hours later it is another one");
    assert_eq!(report::current_worker(&w.ops, &pilot(), HV).await.unwrap(), 1);
    assert_eq!(report::current_worker(&w.ops, &pilot(), "nobody").await.unwrap(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_of_one_worker_does_not_hold_up_the_others() {
    let w = World::new().await;
    let told = json!([{"workerID": 1, "status": "running"}, {"status": "running"}, 7, {"workerID": 2, "status": "odd"},
        {"workerID": 3, "status": "submitted", "unknownKey": [1], "errorCode": 0, "computingElement": ""}]);
    assert_eq!(tell(&w, told).await, [true, false, false, false, true]);
    assert!(state(&w, 3).await.is_some() && state(&w, 2).await.is_none());
    let e = workers::update(&w.ops, &pilot(), "", vec![]).await.unwrap_err().to_string();
    assert!(e.starts_with("harvester_id must have"), "{e}");
}

#[tokio::test]
async fn the_end_of_a_synchronized_worker_is_the_end_of_its_job() {
    let w = World::new().await;
    let q = served(&w, "Q", "pull").await;
    let (runs, waits, other) = (
        w.job(&alice(), None, q, JobState::Running).await,
        w.job(&alice(), None, q, JobState::Activated).await,
        w.job(&alice(), None, q, JobState::Running).await,
    );
    let told = |number: i64, state: &str, level: i64, code: i64, jobs: Value| json!([{"workerID": number, "status": state, "syncLevel": level, "errorCode": code, "diagMessage": "gone", "pandaid_list": jobs}]);
    tell(&w, told(1, "running", 1, 0, json!([runs.0, waits.0]))).await;
    tell(&w, told(2, "running", 0, 0, json!([other.0]))).await;
    assert_eq!(w.job_row(runs).await.state, JobState::Running);
    // An empty list changes nothing of what is known.
    tell(&w, told(1, "failed", 1, 0, json!([]))).await;
    let row = w.job_row(runs).await;
    assert_eq!((row.state, row.sup_error_code), (JobState::Failed, Some(300)));
    assert_eq!(row.diag.as_deref(), Some("The worker was failed while the job was running : gone"));
    assert_eq!(w.job_row(waits).await.state, JobState::Activated);
    // Without the level the job goes on, with the worker's error.
    tell(&w, told(2, "cancelled", 0, 9000, json!([other.0]))).await;
    let row = w.job_row(other).await;
    assert_eq!((row.state, row.sup_error_code), (JobState::Running, Some(9000)));
    let of = worker::of_job(&w.ops.store, runs).await.unwrap();
    assert_eq!((of.len(), of[0].number, of[0].state.as_str()), (1, 1, "failed"));
}

#[tokio::test]
async fn commands_are_handed_out_once_and_again_until_they_are_acknowledged() {
    let w = World::new().await;
    served(&w, "Q", "pull").await;
    w.queue("ALONE").await;
    let sweep = Sweep { states: vec!["submitted".into(), "running".into()], ..Sweep::default() };
    assert!(matches!(command::sweep(&w.ops, &pilot(), "Q", &sweep).await, Err(OpsError::Denied(_))));
    for (queue, states, want) in [
        ("NOWHERE", vec![], "does not exist"),
        ("ALONE", vec![], "no Harvester serves"),
        ("Q", vec!["odd"], "status_list: "),
        ("Q", vec!["finished"], "have ended"),
    ] {
        let sweep = Sweep { states: states.into_iter().map(str::to_owned).collect(), ..Sweep::default() };
        let e = command::sweep(&w.ops, &prod(), queue, &sweep).await.unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    }
    assert_eq!(command::sweep(&w.ops, &prod(), "Q", &sweep).await.unwrap(), [HV]);
    let take = async || command::acquire(&w.ops, &pilot(), HV, 20).await.unwrap();
    let got = take().await;
    assert_eq!((got.len(), got[0].name.as_str(), got[0].ack), (1, "KILL_WORKERS", true));
    let params: Value = serde_json::from_str(got[0].params.as_deref().unwrap()).unwrap();
    let want = json!({"status": ["submitted", "running"], "computingSite": ["Q"], "computingElement": "ALL", "submissionHost": "ALL"});
    assert_eq!(params, want);
    assert!(take().await.is_empty());
    w.pass(601);
    assert_eq!(take().await.len(), 1, "its answer may have been lost");
    command::acknowledge(&w.ops, &pilot(), &[got[0].id, 999]).await.unwrap();
    w.pass(601);
    assert!(take().await.is_empty());
}

#[tokio::test]
async fn a_driven_queue_asks_for_workers_when_its_instance_tells_of_it() {
    let w = World::new().await;
    let q = served(&w, "UPS", "pull_ups").await;
    served(&w, "SELF", "pull").await;
    for _ in 0..3 {
        w.job(&alice(), None, q, JobState::Activated).await;
    }
    w.pass(11);
    assert_eq!(ups::step(&w.ops).await.unwrap(), 0, "nobody has said that it serves the queue");
    let say = async |queue: &str, doc: Value| report::statistics(&w.ops, &pilot(), HV, queue, &doc).await;
    say("UPS", json!("{\"managed\": {\"SCORE\": {\"running\": 0, \"submitted\": 1, \"finished\": 0, \"to_submit\": 0}}}")).await.unwrap();
    say("SELF", json!({"ANY": {}})).await.unwrap();
    assert_eq!(ups::step(&w.ops).await.unwrap(), 1);
    let got = command::acquire(&w.ops, &pilot(), HV, 20).await.unwrap();
    assert_eq!((got[0].name.as_str(), got[0].params.as_deref()), ("SET_N_WORKERS_JOBTYPE:UPS", Some(r#"{"managed":{"SCORE":2}}"#)));
    assert_eq!(ups::step(&w.ops).await.unwrap(), 0, "five minutes are not over");
    w.pass(301);
    assert_eq!(ups::step(&w.ops).await.unwrap(), 1);
    w.pass(3_601);
    assert_eq!(ups::step(&w.ops).await.unwrap(), 0, "what was told is an hour old");
    let stats = report::worker_statistics(&w.ops, &alice()).await.unwrap();
    assert_eq!(stats["UPS"][HV]["managed"]["SCORE"]["submitted"], 1);
    for (doc, want) in
        [(json!("{"), "no JSON"), (json!([1]), "must be a JSON object"), (json!({"managed": {"SCORE": {"x": -1}}}), "must be")]
    {
        let e = say("UPS", doc).await.unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    }
}

#[tokio::test]
async fn target_slots_bound_what_is_asked_for() {
    let w = World::new().await;
    let q = served(&w, "UPS", "pull_ups").await;
    for _ in 0..3 {
        w.job(&alice(), None, q, JobState::Activated).await;
    }
    w.pass(11);
    let target = |slots: i64, until: Option<&'static str>| Target { queue: "UPS", slots, expiration: until, ..Target::default() };
    assert!(matches!(slots::set(&w.ops, &pilot(), &target(1, None)).await, Err(OpsError::Denied(_))));
    let asked = async || queue::workers::targets(&w.ops, &alice(), "UPS").await.unwrap()["targets"]["SCORE"].clone();
    assert_eq!(asked().await, 3);
    assert!(slots::set(&w.ops, &prod(), &target(2, Some("1"))).await.unwrap().contains("should have 2 slots until"));
    assert_eq!(asked().await, 2);
    w.pass(86_401);
    assert_eq!(asked().await, 3, "the target has expired");
    slots::set(&w.ops, &prod(), &target(0, None)).await.unwrap();
    assert_eq!(asked().await, 0);
    slots::set(&w.ops, &prod(), &target(-1, None)).await.unwrap();
    assert_eq!(asked().await, 3);
    for (t, want) in [
        (target(-2, None), "at least 0, or -1"),
        (target(1, Some("soon")), "neither a number of days"),
        (target(1, Some("-3")), "is over already"),
        (Target { resource_type: Some("HUGE"), ..target(1, None) }, "`HUGE` is unknown"),
        (Target { share: Some("none"), ..target(1, None) }, "no leaf of the shares"),
        (Target { queue: "NOWHERE", ..target(1, None) }, "does not exist"),
    ] {
        let e = slots::set(&w.ops, &prod(), &t).await.unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    }
}

#[tokio::test]
async fn a_batch_job_that_outlives_its_pilot_is_killed() {
    let w = World::new().await;
    served(&w, "Q", "pull").await;
    tell(&w, json!([{"workerID": 4, "status": "running", "computingSite": "Q"}])).await;
    let said = |status: &str| crate::pilot::worker::Status { harvester: HV.into(), number: 4, status: status.into(), ..Default::default() };
    crate::pilot::worker::status(&w.ops, &pilot(), &said("finished")).await.unwrap();
    assert_eq!(state(&w, 4).await.unwrap().0, "running", "the end of a batch job is told by its Harvester");
    assert_eq!(ups::step(&w.ops).await.unwrap(), 0);
    w.pass(1_801);
    assert_eq!(ups::step(&w.ops).await.unwrap(), 1);
    let got = command::acquire(&w.ops, &pilot(), HV, 20).await.unwrap();
    assert_eq!((got[0].name.as_str(), got[0].params.as_deref()), ("SYNC_WORKERS_KILL", Some("[4]")));
}

#[tokio::test]
async fn instances_are_known_from_their_first_heartbeat() {
    let w = World::new().await;
    assert!(overview::show(&w.ops, &alice(), HV).await.is_err());
    let first = json!({"startTime": "datetime/2026-01-02 03:00:00.000001", "sw_version": "0.7.5", "commands": []});
    report::heartbeat(&w.ops, &pilot(), HV, first.as_object().unwrap()).await.unwrap();
    w.pass(600);
    report::heartbeat(&w.ops, &pilot(), HV, &serde_json::Map::new()).await.unwrap();
    let dialog = json!([{"diagID": 1, "moduleName": "m", "identifier": "i", "creationTime": "2026-01-02 03:00:00.5", "messageLevel": "ERROR", "diagMessage": "x".repeat(600)}, {"no": 1}]);
    report::dialogs(&w.ops, &pilot(), HV, dialog.as_array().unwrap()).await.unwrap();
    let metric = json!([["2026-01-02 03:00:00.000000", "host", "{\"rss_mib\": 1}"]]);
    report::metrics(&w.ops, &pilot(), HV, metric.as_array().unwrap()).await.unwrap();
    assert!(report::metrics(&w.ops, &pilot(), HV, &[json!(["x"])]).await.is_err());
    let got = overview::show(&w.ops, &alice(), HV).await.unwrap();
    assert_eq!(
        (&got["version"], &got["last_heard"], &got["started"]),
        (&json!("0.7.5"), &json!("2026-01-02 03:14:05"), &json!("2026-01-02 03:00:00"))
    );
    assert_eq!((got["dialogs"].as_array().unwrap().len(), got["dialogs"][0]["message"].as_str().unwrap().len()), (1, 500));
    assert_eq!(got["metrics"][0]["values"]["rss_mib"], 1);
    // What is old goes.
    w.pass(40 * 86_400);
    crate::retention::step(&w.ops).await.unwrap();
    let got = overview::show(&w.ops, &alice(), HV).await.unwrap();
    assert!(got["dialogs"].as_array().unwrap().is_empty() && got["metrics"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_pilot_that_names_its_worker_binds_its_job_to_it() {
    let w = World::new().await;
    let q = served(&w, "Q", "pull").await;
    let job = w.job(&alice(), None, q, JobState::Activated).await;
    let ask = crate::pilot::acquire::Ask {
        queue: "Q".into(),
        label: Some("user".into()),
        worker: Some((HV.into(), 8)),
        n: 1,
        ..Default::default()
    };
    assert_eq!(crate::pilot::acquire::acquire(&w.ops, &pilot(), &ask).await.unwrap().len(), 1);
    let of = worker::of_job(&w.ops.store, job).await.unwrap();
    assert_eq!((of[0].harvester.as_str(), of[0].number, of[0].state.as_str()), (HV, 8, "running"));
    // Its Harvester is behind: what the pilot said stays, the state is its own.
    tell(&w, json!([{"workerID": 8, "status": "submitted", "batchID": "b"}])).await;
    assert_eq!(worker::of_job(&w.ops.store, job).await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_there_are_several_vos_each_has_its_own_instances() {
    let w = World::new().await;
    let q = served(&w, "Q", "pull").await;
    let job = w.job(&alice(), None, q, JobState::Running).await;
    let stranger = |role: panda_access::Role| panda_access::Principal {
        subject: "pia".into(),
        vo: Some("basalt".into()),
        roles: [role].into(),
        ..alice()
    };
    let theirs = stranger(panda_access::Role::Pilot);
    crate::vo::set(&w.ops, &operator(), "basalt", &serde_json::Map::new()).await.unwrap();
    let beat = async |who: &panda_access::Principal, name: &str| report::heartbeat(&w.ops, who, name, &serde_json::Map::new()).await;
    beat(&pilot(), HV).await.unwrap();
    beat(&site_pilot(), "site").await.unwrap();
    beat(&theirs, "other").await.unwrap();
    for name in [HV, "site"] {
        assert!(matches!(beat(&theirs, name).await, Err(OpsError::Denied(_))), "{name}");
        assert!(matches!(command::acquire(&w.ops, &theirs, name, 9).await, Err(OpsError::Denied(_))), "{name}");
    }
    for name in [HV, "site", "other"] {
        beat(&site_pilot(), name).await.unwrap();
    }
    // A worker ends nobody else's jobs, whatever its Harvester says that it has.
    let ended = json!([{"workerID": 1, "status": "failed", "syncLevel": 1, "pandaid_list": [job.0]}]);
    workers::update(&w.ops, &theirs, "other", ended.as_array().unwrap().clone()).await.unwrap();
    assert_eq!(w.job_row(job).await.state, JobState::Running);
    // Queues of all are commanded by those who run the site; a queue of one VO by its production too.
    let sweep = Sweep::default();
    for who in [prod(), stranger(panda_access::Role::Production)] {
        assert!(matches!(command::sweep(&w.ops, &who, "Q", &sweep).await, Err(OpsError::Denied(_))));
    }
    let own = json!({"vos": ["amber"]});
    queue::change::set(&w.ops, &operator(), "Q", own.as_object().unwrap()).await.unwrap();
    assert!(command::sweep(&w.ops, &stranger(panda_access::Role::Production), "Q", &sweep).await.is_err());
    command::sweep(&w.ops, &prod(), "Q", &sweep).await.unwrap();
    let told = command::acquire(&w.ops, &pilot(), HV, 9).await.unwrap();
    assert!(matches!(command::acknowledge(&w.ops, &theirs, &[told[0].id]).await, Err(OpsError::Denied(_))));
    command::acknowledge(&w.ops, &pilot(), &[told[0].id]).await.unwrap();
}

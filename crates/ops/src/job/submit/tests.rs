#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use panda_core::{
    file::FileState,
    job::{record::JobKind, state::JobState},
};

use super::*;
use crate::testing::{World, alice, bob, operator, prod};
use panda_store::driver::Claim;
use panda_store::query::dataset;

fn spec(extra: Value, files: Value) -> Value {
    let mut job = json!({
        "jobName": "user.alice.j$ORIGINPANDAID", "transformation": "http://h/trf/user/run", "jobParameters": "-o $PANDAID", "coreCount": 1,
        "minRamCount": 2, "minRamUnit": "GB", "jobDefinitionID": 7, "Files": files,
    });
    job.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    job
}
fn files() -> Value {
    json!([
        {"lfn": "log.$PANDAID.tgz", "type": "log", "destinationDBlock": "user.alice.log"},
        {"lfn": "out.$PANDAID.txt", "type": "output", "destinationDBlock": "user.alice.out/"},
    ])
}
async fn one(w: &World, who: &Principal, job: Value) -> Result<Vec<Submitted>, OpsError> {
    submit(&w.ops, who, json!([job]).to_string()).await
}

#[tokio::test]
async fn jobs_can_be_taken_at_once() {
    let w = World::new().await;
    let q = w.queue("LOCAL").await;
    let jobs = json!([spec(json!({"computingSite": "LOCAL"}), files()), spec(json!({}), files())]);
    let got = submit(&w.ops, &alice(), jobs.to_string()).await.unwrap();
    let first = got[0].job_id;
    assert_eq!(got[0].wire(), json!([first.0, 7, {"jobsetID": first.0}]));
    let row = w.job_row(first).await;
    assert_eq!((row.state, row.queue_id, row.kind, row.ram_mb), (JobState::Activated, Some(q), JobKind::Standalone, 2_000));
    assert_eq!((row.name.as_deref(), row.neg_priority), (Some(format!("user.alice.j{first}").as_str()), -1_000));
    let lanes = w.ops.queues().await.unwrap().lanes[&q].iter().map(|l| l.id).collect();
    let claim = Claim { lanes, n: 2, now_us: w.ops.now().0, ..Claim::default() };
    let claimed = w.ops.store.claim(claim).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let dictionary: Value = serde_json::from_str(&crate::json::join(&[&claimed[0].common, &claimed[0].doc])).unwrap();
    let part = |keys: &[&str]| keys.iter().map(|k| dictionary[*k].clone()).collect::<Value>();
    let n = first.0;
    assert_eq!(part(&["outFiles", "logFile"]), json!([format!("out.{n}.txt,log.{n}.tgz"), format!("log.{n}.tgz")]));
    assert_eq!(
        part(&["jobPars", "scopeOut", "ddmEndPointOut", "jobsetID"]),
        json!([format!("-o {n}"), "user.alice", "LOCAL_DISK,LOCAL_DISK", n])
    );
    assert_ne!(dictionary["logGUID"], "");
    let rows = job::file::of_jobs(&w.ops.store, &[first]).await.unwrap();
    let out = dataset::by_name(&w.ops.store, "amber", "user.alice.out").await.unwrap().unwrap();
    assert_eq!((rows[1].dataset_id, rows[1].state), (Some(out.id), FileState::Running));
    let brokered = decision::list(&w.ops.store, got[1].job_id.0).await.unwrap();
    assert!(brokered[0].doc.contains("\"chosen\":\"LOCAL\""));
    assert!(decision::list(&w.ops.store, first.0).await.unwrap().is_empty(), "its user chose");
}

#[tokio::test]
async fn what_can_never_run_is_refused() {
    let w = World::new().await;
    let refused = async |extra: Value, files: Value| one(&w, &alice(), spec(extra, files)).await.unwrap_err().to_string();
    assert!(refused(json!({}), files()).await.contains("there is no queue"));
    w.queue("LOCAL").await;
    for (extra, files, want) in [
        (json!({"computingSite": "NOPE"}), files(), "job 0: queue `NOPE`"),
        (json!({"minRamCount": 90}), files(), "90000 MB of memory"),
        (json!({"transformation": "NULL"}), files(), "transformation is missing"),
        (json!({"prodSourceLabel": "odd"}), files(), "`odd` is not possible"),
        (json!({}), json!([{"lfn": "a/b", "type": "output"}]), "contains '/'"),
        (json!({}), json!([{"lfn": "a", "type": "output"}, {"lfn": "a", "type": "log"}]), "stands twice"),
        (json!({}), json!([{"lfn": "a", "type": "thing"}]), "type must be"),
    ] {
        let e = refused(extra.clone(), files).await;
        assert!(e.contains(want), "{extra}: {e}");
    }
    assert!(submit(&w.ops, &alice(), "[]".into()).await.is_err());
    assert!(submit(&w.ops, &alice(), "{".into()).await.is_err());
    let managed = || spec(json!({"prodSourceLabel": "managed"}), files());
    assert!(matches!(one(&w, &alice(), managed()).await, Err(OpsError::Denied(_))));
    assert_eq!(one(&w, &prod(), managed()).await.unwrap().len(), 1);
    let theirs = one(&w, &bob(), spec(json!({}), files())).await.unwrap_err().to_string();
    assert!(theirs.contains("belongs to somebody else"), "{theirs}");
}

#[tokio::test]
async fn many_jobs_in_batches() {
    let w = World::new().await;
    w.queue("LOCAL").await;
    let jobs: Vec<Value> = (0..300).map(|_| spec(json!({"computingSite": "LOCAL"}), files())).collect();
    let got = submit(&w.ops, &alice(), json!(jobs).to_string()).await.unwrap();
    assert_eq!(got.len(), 300);
    assert_eq!(job::list::many(&w.ops.store, &got.iter().map(|s| s.job_id).collect::<Vec<_>>()).await.unwrap().len(), 300);
}

/// engine.md 3.4 and 20.1: the table of priorities, each next job of a user a little lower, and attempts by label.
#[tokio::test]
async fn priorities_and_attempts_of_jobs_without_a_task() {
    let w = World::new().await;
    w.queue("LOCAL").await;
    let managed = |extra: Value| {
        let mut job = spec(json!({"prodSourceLabel": "managed"}), json!([]));
        job.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        job
    };
    let jobs = json!([
        spec(json!({}), json!([])),
        spec(json!({}), json!([])),
        spec(json!({"specialHandling": "ddm:rucio,express"}), json!([])),
        spec(json!({"assignedPriority": 1_600}), json!([])),
        spec(json!({"prodSourceLabel": "panda"}), json!([])),
        spec(json!({"processingType": "artprod"}), json!([])),
        managed(json!({"assignedPriority": 800, "attemptNr": 3, "maxAttempt": 2})),
        managed(json!({})),
        spec(json!({"attemptNr": 3, "maxAttempt": 2}), json!([])),
        spec(json!({"attemptNr": 3, "maxAttempt": -1}), json!([])),
    ]);
    let got = submit(&w.ops, &prod(), jobs.to_string()).await.unwrap();
    let mut rows = Vec::new();
    for g in &got {
        rows.push(w.job_row(g.job_id).await);
    }
    let priorities: Vec<i64> = rows.iter().map(|r| -r.neg_priority).collect();
    // The user's serial number goes on over all jobs with the label `user`: 1000 - serial / 5.
    assert_eq!(priorities, [1_000, 1_000, 6_000, 1_600, 2_000, 7_000, 800, 0, 999, 999]);
    assert_eq!((rows[6].max_attempt, rows[8].max_attempt, rows[9].max_attempt), (2, 5, 3));
    w.pass(11);
    let next = one(&w, &prod(), spec(json!({}), json!([]))).await.unwrap()[0].job_id;
    assert_eq!(w.job_row(next).await.neg_priority, -998, "ten jobs are there");
}

/// engine.md 20.9: jobs without a task have nothing that could wait for a cap.
#[tokio::test]
async fn a_cap_refuses_jobs_without_a_task() {
    let w = World::new().await;
    w.queue("LOCAL").await;
    crate::setting::set(&w.ops, &operator(), "cap.user_jobs", "amber", "*", "1").await.unwrap();
    for _ in 0..2 {
        one(&w, &alice(), spec(json!({}), json!([]))).await.unwrap();
    }
    w.pass(11);
    let refused = one(&w, &alice(), spec(json!({}), json!([]))).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "job 0: user `alice` has 2 jobs queued; the cap lets jobs be made below 2. They are made again when some have started"
    );
    one(&w, &bob(), spec(json!({}), json!([]))).await.unwrap();
}

//! Canary jobs: one job that is let through to a queue or machine that is held. A waiting job is taken, in the usual order; where none waits, a
//! tiny one is made. How it ends decides whether the hold is lifted ([`super::brake`]).

use panda_access::{Principal, Role, Standing};
use panda_core::{id::JobId, policy::brake::HoldState};
use panda_store::{
    Batch,
    query::{
        hold::{self as rows, HoldRow},
        job::JobRow,
        queue::QueueRow,
    },
};
use serde_json::json;

use super::{ENGINE, note};
use crate::{Ops, OpsError, job::submit};

/// Processing type of the jobs made here.
pub const PROCESSING_TYPE: &str = "canary";
/// How long a pilot that was let through may take to be given its job, seconds: longer, and its process died.
const TAKING_S: i64 = 60;
/// After a pilot that no waiting job fits, others wait so long, seconds.
const NOTHING_FITS_S: i64 = 30;

/// Lets one pilot through; false when another was quicker.
pub async fn take(ops: &Ops, h: &HoldRow) -> Result<bool, OpsError> {
    let trial = HoldRow { state: HoldState::Trial, next_us: ops.now().0 + TAKING_S * 1_000_000, job_id: None, ..h.clone() };
    let mut batch = Batch::new();
    rows::set(&mut batch, &trial);
    match ops.store.apply(batch).await {
        Ok(()) => Ok(true),
        Err(e) if e.is_conflict() => {
            ops.queues_changed().await?;
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

/// Notes what the pilot that [`take`] let through was given.
pub async fn sent(ops: &Ops, h: &HoldRow, job: Option<JobId>) -> Result<(), OpsError> {
    let taken = HoldRow { rev: h.rev + 1, ..h.clone() };
    let now = ops.now().0;
    let queues = ops.queues().await?;
    let name = queues.by_id.get(&h.queue_id).map(|q| q.name.clone()).unwrap_or_default();
    let mut batch = Batch::new();
    match job {
        Some(job) => {
            let trial = HoldRow { state: HoldState::Trial, job_id: Some(job), next_us: now, ..taken };
            rows::set(&mut batch, &trial);
            super::brake::record(&mut batch, &trial, &name, now);
            note(ops, &mut batch, &HoldRow { who: ENGINE.into(), ..trial }, &name, "canary sent", Some(json!({"job": job.0}))).await?;
        }
        None => rows::set(&mut batch, &HoldRow { state: HoldState::Held, next_us: now + NOTHING_FITS_S * 1_000_000, ..taken }),
    }
    match ops.store.apply(batch).await {
        Ok(()) => {}
        Err(e) if e.is_conflict() => {}
        Err(e) => return Err(e.into()),
    }
    ops.queues_changed().await.map(|_| ())
}

/// Makes a tiny job for a queue, of the VO and label of a job that failed there.
pub async fn make(ops: &Ops, q: &QueueRow, like: &JobRow) -> Result<JobId, OpsError> {
    let who = Principal {
        issuer: "panda".into(),
        subject: ENGINE.into(),
        name: ENGINE.into(),
        nickname: ENGINE.into(),
        vo: Some(like.vo.clone()),
        roles: [Role::Production].into_iter().collect(),
        groups: Vec::new(),
        email: None,
        standing: Standing::default(),
    };
    let base = &ops.options.base_url;
    let known = submit::USER_LABELS.contains(&like.label.as_str()) || submit::PRODUCTION_LABELS.contains(&like.label.as_str());
    let job = json!([{
        "jobName": format!("canary.{}", q.name), "processingType": PROCESSING_TYPE, "computingSite": q.name, "VO": like.vo,
        "prodSourceLabel": if known { like.label.as_str() } else { "user" }, "maxAttempt": -1,
        "transformation": format!("{base}/trf/user/runGen-00-00-02"),
        "jobParameters": format!("-j \"\" --sourceURL {base} -r . -p \"echo%20canary\""),
        "Files": [{"lfn": "canary.$PANDAID.log.tgz", "type": "log", "destinationDBlock": format!("panda.canary.{}", q.name)}],
    }]);
    let made = submit::submit(ops, &who, job.to_string()).await?;
    made.first().map(|j| j.job_id).ok_or_else(|| OpsError::Internal("a canary job has no number".into()))
}

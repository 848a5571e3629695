//! Changes of a task's jobs for the webhook of its VO and label (PC, `pushStatusChanges`): a standing effect that looks at the jobs once in a while and posts
//! the latest state of each that has changed, many at a time. At least once; states that a job only went through between two looks are not told.

use panda_core::{id::TaskId, setting::notify, task::notice::next_try, time::Micros};
use panda_notify::hook::{self, Delivery};
use panda_ops::{
    Ops, clock,
    effect::{JOB_STATES, document},
};
use panda_store::{
    Batch,
    query::{
        archive,
        effect::{self, DONE, Effect, FAILED, WAITING},
        job,
    },
};
use serde_json::json;

use crate::{EngineError, loops::effect::secret};

/// Jobs of one post.
const PAGE: i64 = 500;
/// A change is written with the time at which it was decided on: it is there so long after, microseconds.
const LATE_US: i64 = 10_000_000;
/// How long the jobs of an ended task are looked at, microseconds: what runs on reports its end later.
const LINGER_US: i64 = 3_600_000_000;

/// One look at the jobs of a task.
pub async fn look(ops: &Ops, e: &Effect, now: Micros) -> Result<(), EngineError> {
    let doc = document(e);
    let text = |key: &str| doc[key].as_str().unwrap_or_default().to_owned();
    let (vo, label, url) = (text("vo"), text("label"), text("url"));
    let (since, after) = (doc["since_us"].as_i64().unwrap_or(0), doc["after"].as_i64().unwrap_or(0));
    let settings = ops.settings().await?;
    let task = TaskId(e.subject);
    let t = archive::task::find(&ops.store, task).await?;
    let jobs = job::list::changed(&ops.store, task, (since, after), now.0 - LATE_US, PAGE).await?;
    let mut row = Effect { attempts: 0, reason: None, state: WAITING.into(), ..e.clone() };
    if let Some(last) = jobs.last() {
        let one = |j: &job::list::Changed| json!({"job_id": j.id.0, "state": j.state.as_str(), "sub_state": j.sub_state, "at": clock::text(j.state_us)});
        let body =
            json!({"event": JOB_STATES, "task_id": task.0, "vo": vo, "label": label, "jobs": jobs.iter().map(one).collect::<Vec<_>>()});
        let body = body.to_string();
        let posted = match secret(settings.text(&notify::WEBHOOK_SECRET_FILE, &vo, &label)).await {
            Ok(secret) => {
                let id = format!("{}/{}/{}", e.key, last.state_us, last.id);
                hook::post(&Delivery { url: &url, event: JOB_STATES, id: &id, body: &body, secret: secret.as_deref() }).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = posted {
            let of = |s| settings.int(s, &vo, &label);
            row.attempts = e.attempts + 1;
            row.next_us = next_try(now, row.attempts, of(&notify::RETRY_S), of(&notify::RETRY_MOST_S)).0;
            row.state = if failure.lasting { FAILED } else { WAITING }.into();
            row.reason = Some(failure.reason);
            return settle(ops, &row, e).await;
        }
        let next = json!({"vo": vo, "label": label, "url": url, "since_us": last.state_us, "after": last.id.0});
        row.doc = Some(next.to_string());
    }
    let full = jobs.len() as i64 == PAGE;
    let over = t.is_none_or(|t| t.state.is_final() && t.state_us < now.0 - LINGER_US);
    if over && !full {
        (row.state, row.doc, row.next_us) = (DONE.into(), None, now.0);
    } else {
        let period_us = settings.int(&notify::JOB_PERIOD_S, &vo, &label).saturating_mul(1_000_000);
        row.next_us = if full { now.0 } else { now.0 + period_us };
    }
    settle(ops, &row, e).await
}

async fn settle(ops: &Ops, row: &Effect, was: &Effect) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    effect::settle(&mut batch, row, was.attempts);
    Ok(ops.store.apply(batch).await?)
}

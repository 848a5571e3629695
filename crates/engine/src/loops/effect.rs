//! Delivers what was decided: mail, webhooks, what plug-ins are told, at least once, with pauses that grow and an end (ADR 9). Nothing else waits for it.

use futures::{StreamExt, stream};
use panda_core::{
    setting::{notify, plugin},
    task::notice::next_try,
    time::Micros,
};
use panda_notify::{
    Failure,
    hook::{self, Delivery},
    mail::{Mail, Relay},
};
use panda_ops::{
    Ops,
    effect::{JOB_STATES, MAIL, TASK_STATE, WEBHOOK, document as doc, is_kept_up, is_plugins},
    plugin::Asked,
};
use panda_store::{
    Batch,
    query::effect::{self, DONE, Effect, FAILED, WAITING},
};

use crate::{EngineError, Report, data, push};

/// Deliveries of one step.
const A_STEP: i64 = 64;
/// Deliveries at the same time: a receiver that does not answer holds up only its own.
const AT_ONCE: usize = 16;
/// How soon it is looked whether a plug-in that has not answered at once has, microseconds.
const LOOK_AGAIN_US: i64 = 2_000_000;
/// Longest secret that is read from a file.
const MAX_SECRET_BYTES: u64 = 4_096;

/// One step.
pub(super) async fn step(ops: &Ops, now: Micros) -> Result<Report, EngineError> {
    let due = effect::due(&ops.store, now.0, A_STEP).await?;
    let more = due.len() as i64 == A_STEP;
    let mut results = stream::iter(due.into_iter().map(|e| async move {
        let result = match e.kind.as_str() {
            JOB_STATES => push::look(ops, &e, now).await.map(|()| None),
            _ => deliver(ops, &e).await.map(Some),
        };
        (e, result)
    }))
    .buffer_unordered(AT_ONCE);
    let mut report = Report { done: 0, more };
    while let Some((e, result)) = results.next().await {
        let settled = match result {
            Ok(Some(Asked::Answer(result))) => settle(ops, &e, result, now).await,
            Ok(Some(Asked::UnderWay)) => look_again(ops, &e, now).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match settled {
            Ok(()) => report.done += 1,
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    drop(results);
    forget(ops, now).await?;
    Ok(report)
}

/// Writes how an attempt went.
async fn settle(ops: &Ops, e: &Effect, result: Result<(), Failure>, now: Micros) -> Result<(), EngineError> {
    let settings = ops.settings().await?;
    let (vo, label) = place(e);
    let mut after = Effect { attempts: e.attempts + 1, next_us: now.0, ..e.clone() };
    match result {
        Ok(()) => {
            after.state = DONE.into();
            // What was registered is told as long as the record is kept.
            after.doc = after.doc.filter(|_| is_kept_up(&e.kind));
            after.reason = None;
        }
        Err(failure) => {
            let (first, most) =
                if is_plugins(&e.kind) { (&plugin::RETRY_S, &plugin::RETRY_MOST_S) } else { (&notify::RETRY_S, &notify::RETRY_MOST_S) };
            let next = next_try(now, after.attempts, settings.int(first, &vo, &label), settings.int(most, &vo, &label));
            let over = failure.lasting || next.0 > e.until_us;
            after.state = if over { FAILED } else { WAITING }.into();
            after.next_us = if over { now.0 } else { next.0 };
            tracing::warn!(key = e.key, attempts = after.attempts, "not delivered: {failure}");
            after.reason = Some(failure.reason);
        }
    }
    let mut batch = Batch::new();
    effect::settle(&mut batch, &after, e.attempts);
    Ok(ops.store.apply(batch).await?)
}

/// Looks soon whether a plug-in has answered.
async fn look_again(ops: &Ops, e: &Effect, now: Micros) -> Result<(), EngineError> {
    let mut batch = Batch::new();
    effect::settle(&mut batch, &Effect { next_us: now.0 + LOOK_AGAIN_US, ..e.clone() }, e.attempts);
    Ok(ops.store.apply(batch).await?)
}

fn place(e: &Effect) -> (String, String) {
    let doc = doc(e);
    let text = |key: &str| doc[key].as_str().unwrap_or_default().to_owned();
    (text("vo"), text("label"))
}

/// One attempt. The outer error is ours (settings cannot be read), the inner the world's.
async fn deliver(ops: &Ops, e: &Effect) -> Result<Asked<Result<(), Failure>>, EngineError> {
    if is_plugins(&e.kind) {
        return data::effect::ask(ops, e, &doc(e)).await;
    }
    let settings = ops.settings().await?;
    let (vo, label) = place(e);
    let doc = doc(e);
    let text = |key: &str| doc[key].as_str().unwrap_or_default().to_owned();
    let passing = |reason: String| Failure { reason, lasting: false };
    let run = async {
        match e.kind.as_str() {
            MAIL => {
                let relay = settings.text(&notify::MAIL_RELAY, &vo, &label);
                if relay.is_empty() {
                    return Err(passing(format!("no mail relay is set (setting {})", notify::MAIL_RELAY.name)));
                }
                let relay = Relay::parse(relay).map_err(|w| passing(format!("setting {}: {w}", notify::MAIL_RELAY.name)))?;
                let password = secret(settings.text(&notify::MAIL_PASSWORD_FILE, &vo, &label)).await?;
                let id = format!("{}@panda", e.key.replace('/', "."));
                let mail = Mail { from: text("from"), to: text("to"), subject: text("subject"), body: text("body"), id };
                relay.send(&mail, password.as_deref()).await
            }
            WEBHOOK => {
                let secret = secret(settings.text(&notify::WEBHOOK_SECRET_FILE, &vo, &label)).await?;
                let (url, body) = (text("url"), text("body"));
                let delivery = Delivery { url: &url, event: TASK_STATE, id: &e.key, body: &body, secret: secret.as_deref() };
                hook::post(&delivery).await
            }
            other => Err(passing(format!("this program does not know how to deliver `{other}`; a newer one decided it"))),
        }
    };
    Ok(Asked::Answer(run.await))
}

/// The first line of a file; none without a file.
pub(crate) async fn secret(path: &str) -> Result<Option<String>, Failure> {
    if path.is_empty() {
        return Ok(None);
    }
    let failed = |e: std::io::Error| Failure { reason: format!("the secret in {path} cannot be read: {e}"), lasting: false };
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > MAX_SECRET_BYTES {
        return Err(Failure { reason: format!("{path} is too large for a secret"), lasting: false });
    }
    let text = tokio::fs::read_to_string(path).await.map_err(failed)?;
    Ok(text.lines().next().map(str::to_owned).filter(|l| !l.is_empty()))
}

/// Removes old records.
async fn forget(ops: &Ops, now: Micros) -> Result<(), EngineError> {
    let before = now.0 - ops.settings().await?.int(&notify::KEEP_S, "*", "*").saturating_mul(1_000_000);
    let mut batch = Batch::new();
    for state in [DONE, FAILED] {
        effect::forget(&ops.store, &mut batch, state, before).await?;
    }
    if !batch.is_empty() {
        ops.store.apply(batch).await?;
    }
    Ok(())
}

//! What the server is told of a job, and how a final report gets there.
//!
//! Owns the keys of `update_job` and the delivery of final reports. Must not
//! know how a job ran.

use std::path::PathBuf;
use std::time::Duration;

use panda_client::{Backoff, Client, ClientError, Envelope};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::journal::{Journal, Spooled};
use super::{Context, stage};

/// First and longest pause between attempts to deliver a final report.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How long a stopping worker still tries; then the report waits on disk for the
/// next start.
const STOPPING_PATIENCE: Duration = Duration::from_secs(5);

/// Longest diagnosis; the server keeps 500 characters.
pub(crate) const MAX_DIAG_CHARS: usize = 500;

/// Status codes inside an answer that ask for another attempt.
const RETRY_CODES: [i64; 2] = [10, 30];

/// What the server said to an update.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) message: String,
    pub(crate) status_code: i64,
    /// A command for the pilot; `None` for none.
    pub(crate) command: Option<String>,
}

impl Answer {
    fn read(envelope: &Envelope) -> Self {
        let of = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !matches!(*text, "" | "NULL")).map(str::to_owned);
        // The data carries it; some servers repeat it at the top.
        let command = of(envelope.data.get("command")).or_else(|| of(envelope.extra.get("command")));
        Self {
            success: envelope.success,
            message: envelope.message.clone(),
            status_code: envelope.data.get("StatusCode").and_then(Value::as_i64).unwrap_or(0),
            command,
        }
    }

    /// Whether the job must end (also as `debug,tobekilled`).
    pub(crate) fn is_kill(&self) -> bool {
        self.command.as_deref().is_some_and(|command| command.split(',').any(|word| word.trim() == "tobekilled"))
    }
}

/// Sends one update.
pub(crate) async fn send(client: &Client, body: &Value) -> Result<Answer, ClientError> {
    let envelope = client.post("pilot", "update_job", body).await?;
    Ok(Answer::read(&envelope))
}

/// The keys that every update of a job has.
pub(crate) fn base(context: &Context, job_id: i64, attempt: i64, status: &str) -> Map<String, Value> {
    let Value::Object(body) = json!({
        "job_id": job_id,
        "job_status": status,
        "attempt_nr": attempt,
        "site_name": context.options.queue,
        "node": context.node,
        "pilot_id": super::PILOT_ID,
    }) else {
        return Map::new();
    };
    body
}

/// Cuts a diagnosis to what the server keeps.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(MAX_DIAG_CHARS).collect()
}

/// The report of a job whose worker was killed.
pub(crate) fn lost(context: &Context, job_id: i64, attempt: i64, diag: &str) -> Value {
    let mut body = base(context, job_id, attempt, "failed");
    body.insert("pilot_error_code".to_owned(), json!(super::codes::INTERNAL));
    body.insert("pilot_error_diag".to_owned(), json!(diag));
    body.insert("job_sub_status".to_owned(), json!("lost_worker"));
    body.insert("trans_exit_code".to_owned(), json!(0));
    Value::Object(body)
}

/// Delivers a spooled final report: again and again until the server has
/// answered. Returns whether it did; if not, the report stays on disk.
pub(crate) async fn deliver(context: &Context, journal: &Journal, spooled: &Spooled, shutdown: &mut watch::Receiver<bool>) -> bool {
    let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    let mut patience: Option<tokio::time::Instant> = None;
    loop {
        if *shutdown.borrow() && patience.is_none() {
            patience = Some(tokio::time::Instant::now() + STOPPING_PATIENCE);
        }
        match send(&context.client, &spooled.body).await {
            Ok(answer) if !(answer.success && is_retry(&answer)) => {
                settle(context, spooled, &answer).await;
                journal.clear();
                return true;
            }
            Ok(answer) => tracing::warn!(answer.message, "the server could not take a final report"),
            Err(error) if is_final(&error) => {
                tracing::error!(%error, "the server refuses a final report; it is dropped");
                journal.clear();
                return true;
            }
            Err(error) => tracing::warn!(%error, "a final report could not be delivered yet"),
        }
        if patience.is_some_and(|until| tokio::time::Instant::now() >= until) {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            _ = shutdown.wait_for(|stop| *stop), if patience.is_none() => {}
        }
    }
}

fn is_retry(answer: &Answer) -> bool {
    // "Failed to add meta_data" is 30 as well, but the report itself was taken;
    // another delivery is then answered with `alreadydone`.
    RETRY_CODES.contains(&answer.status_code)
}

/// Answers that no later attempt will change. A refused identity may change: a
/// token is renewed.
fn is_final(error: &ClientError) -> bool {
    matches!(error.status(), Some(400 | 404 | 405 | 413 | 422))
}

/// After the answer: a report that came too late leaves stray files behind.
async fn settle(context: &Context, spooled: &Spooled, answer: &Answer) {
    if !answer.success {
        tracing::error!(answer.message, "the server did not accept a final report");
    }
    if spooled.files.is_empty() || !answer.is_kill() {
        return;
    }
    let (Some(id), Some(attempt)) =
        (spooled.body.get("job_id").and_then(Value::as_i64), spooled.body.get("attempt_nr").and_then(Value::as_i64))
    else {
        return;
    };
    // "tobekilled" is also the answer for a job that is long done, when an
    // earlier delivery's answer was lost: only the status tells them apart.
    if attempt_is_dead(&context.client, id, attempt).await {
        remove_files(spooled.files.clone()).await;
    }
}

/// Whether the server knows this attempt as ended without success.
async fn attempt_is_dead(client: &Client, job_id: i64, attempt: i64) -> bool {
    match status_of(client, job_id).await {
        Some((status, known)) => known == attempt && matches!(status.as_str(), "failed" | "cancelled" | "closed"),
        None => false,
    }
}

/// Status and attempt of a job, if the server knows it.
pub(crate) async fn status_of(client: &Client, job_id: i64) -> Option<(String, i64)> {
    let query = [("job_ids", job_id)];
    let answer = client.get("pilot", "get_job_status", &query).await.ok()?;
    let first = answer.data.get(0)?;
    let status = first.get("status")?.as_str()?.to_owned();
    if status == "not found" {
        return None;
    }
    Some((status, first.get("attempt_number")?.as_i64()?))
}

/// Removes files on the blocking pool.
pub(crate) async fn remove_files(files: Vec<PathBuf>) {
    let _ = tokio::task::spawn_blocking(move || stage::remove(&files)).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(data: Value, extra: Value) -> Answer {
        Answer::read(&Envelope { success: true, message: String::new(), data, extra: extra.as_object().cloned().unwrap_or_default() })
    }

    #[test]
    fn commands_in_every_place() {
        assert!(answer(json!({"command": "tobekilled"}), json!({})).is_kill());
        assert!(answer(json!({"command": "debug,tobekilled"}), json!({})).is_kill());
        assert!(answer(json!({}), json!({"command": "tobekilled"})).is_kill());
        assert_eq!(answer(json!({"command": "NULL"}), json!({})).command, None);
        assert_eq!(answer(json!({"command": null, "StatusCode": 10}), json!({})).status_code, 10);
        assert_eq!(answer(Value::Null, json!({})), Answer { success: true, ..Answer::default() });
    }
}

//! What the worker knows of its queue: storage, and how much memory a payload
//! may use.
//!
//! Owns when the documents are asked for. Must not know jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use panda_client::{Client, ClientError};
use serde_json::Value;

use super::storage::Storage;

/// How long queue and storage documents are used before they are asked for
/// again: an administrator's change reaches a worker within a minute.
const DOCUMENT_AGE: Duration = Duration::from_secs(60);

/// What official pilots allow when the queue does not say: twice the memory.
const USUAL_GRACE_PERCENT: u64 = 100;
/// Ten times the memory that was asked for; more is no limit any more.
const MAX_GRACE_PERCENT: f64 = 900.0;

/// How much more memory than it asked for a job may use: `pilot_rss_grace` of
/// the queue's `params`, percent (`pilot.md` section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace {
    percent: u64,
}

impl Default for Grace {
    fn default() -> Self {
        Self { percent: USUAL_GRACE_PERCENT }
    }
}

impl Grace {
    /// Reads the queue's document. What is no number counts as not stated, one
    /// out of bounds as the nearest that is in them; both are told in the log.
    fn read(queue: &Value) -> Self {
        let Some(value) = queue.get("params").and_then(|params| params.get("pilot_rss_grace")).filter(|value| !value.is_null()) else {
            return Self::default();
        };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite());
        let Some(number) = number else {
            tracing::warn!(%value, "the queue's pilot_rss_grace is no number; {USUAL_GRACE_PERCENT} percent is used");
            return Self::default();
        };
        let within = number.clamp(0.0, MAX_GRACE_PERCENT);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped just before")]
        let percent = within.round() as u64;
        if (0.0..=MAX_GRACE_PERCENT).contains(&number) {
            tracing::debug!(percent, "memory grace of the queue");
        } else {
            tracing::warn!(%value, "the queue's pilot_rss_grace is not between 0 and {MAX_GRACE_PERCENT}; {percent} percent is used");
        }
        Self { percent }
    }

    /// Memory that a job which asked for so many MB may use, kB; 0 is no limit.
    pub(crate) fn limit_kb(self, memory_mb: u64) -> u64 {
        memory_mb.saturating_mul(100 + self.percent).saturating_mul(10_000) / 1_024
    }

    /// The factor for people: `2`, `1.5`.
    pub(crate) fn times(self) -> String {
        let all = 100 + self.percent;
        let text = format!("{}.{:02}", all / 100, all % 100);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue {
    pub(crate) storage: Arc<Storage>,
    pub(crate) grace: Grace,
}

/// Keeps a [`Queue`] fresh.
#[derive(Debug, Default)]
pub(crate) struct QueueCache {
    current: tokio::sync::Mutex<Option<(Instant, Queue)>>,
}

impl QueueCache {
    /// The documents, asked for again when they are old; old ones are used
    /// while the server does not answer.
    pub(crate) async fn get(&self, client: &Client, queue: &str) -> Result<Queue, ClientError> {
        let mut current = self.current.lock().await;
        if let Some((when, queue)) = current.as_ref()
            && when.elapsed() < DOCUMENT_AGE
        {
            return Ok(queue.clone());
        }
        match fetch(client, queue).await {
            Ok(queue) => {
                *current = Some((Instant::now(), queue.clone()));
                Ok(queue)
            }
            Err(error) => match current.as_ref() {
                Some((_, queue)) => Ok(queue.clone()),
                None => Err(error),
            },
        }
    }
}

async fn fetch(client: &Client, queue: &str) -> Result<Queue, ClientError> {
    let document: Value = client.get_json(&format!("/cache/schedconfig/{queue}.all.json")).await?;
    let endpoints: Value = client.get_json("/cache/ddmendpoints.json").await?;
    Ok(Queue { storage: Arc::new(Storage::parse(&document, &endpoints)), grace: Grace::read(&document) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn memory_that_a_queue_allows() {
        for (params, percent, times) in [
            (json!({}), 100, "2"),
            (json!({"pilot_rss_grace": null}), 100, "2"),
            (json!({"pilot_rss_grace": 0}), 0, "1"),
            (json!({"pilot_rss_grace": 50}), 50, "1.5"),
            (json!({"pilot_rss_grace": "25"}), 25, "1.25"),
            (json!({"pilot_rss_grace": 12.6}), 13, "1.13"),
            (json!({"pilot_rss_grace": -5}), 0, "1"),
            (json!({"pilot_rss_grace": 1e30}), 900, "10"),
            (json!({"pilot_rss_grace": "much"}), 100, "2"),
            (json!({"pilot_rss_grace": "NaN"}), 100, "2"),
            (json!({"pilot_rss_grace": [1]}), 100, "2"),
            (json!("x"), 100, "2"),
        ] {
            let grace = Grace::read(&json!({ "params": params }));
            assert_eq!((grace.percent, grace.times().as_str()), (percent, times), "{params}");
        }
        assert_eq!(Grace::read(&json!({})), Grace::default());
        // 2,000 MB twice are 4,000 MB: 3,906,250 kB.
        assert_eq!((Grace::default().limit_kb(2_000), Grace { percent: 50 }.limit_kb(2_000)), (3_906_250, 2_929_687));
        assert_eq!((Grace::default().limit_kb(0), Grace::default().limit_kb(u64::MAX)), (0, u64::MAX / 1_024));
    }
}

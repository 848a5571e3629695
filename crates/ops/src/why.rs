//! Why a task or job is where it is, and what would move it: sentences made from stored facts (states, decision records, counts, queues).
//!
//! Shape of an answer: `{"id", "state", "since", "reason", "because": [sentence], "frees": [sentence], "jobs": {state: n}, "decisions": [{"stage",
//! "at", "doc"}], "history": [{"at", "from", "to", "by", "reason"}]}`; times are `YYYY-MM-DD HH:MM:SS`, UTC.

mod dag;
mod events;
mod failed;
pub mod held;
pub mod job;
mod states;
pub mod task;

use panda_core::id::QueueId;
use panda_store::query::{decision::Decision, job::list::Event, queue::QueueRow};
use serde_json::{Value, json};

use crate::{Ops, OpsError, clock, pilot::seen};

/// Lines of history shown.
const HISTORY: usize = 20;
/// After this many seconds without a pilot people should look at the queue's workers.
const QUIET_S: i64 = 600;

fn decisions(records: &[Decision]) -> Value {
    let one = |d: &Decision| {
        let doc: Value = serde_json::from_str(&d.doc).unwrap_or_else(|_| d.doc.clone().into());
        json!({"stage": d.stage, "at": clock::text(d.at_us), "doc": doc})
    };
    records.iter().map(one).collect()
}

/// The sentence of a decision record, when it has one under `reason` or `why`.
fn sentence(d: &Decision) -> Option<String> {
    let doc: Value = serde_json::from_str(&d.doc).ok()?;
    let text = doc.get("reason").or_else(|| doc.get("why"))?.as_str()?;
    Some(format!("{}: {text}", d.stage))
}

fn history(events: &[Event]) -> Value {
    let skipped = events.len().saturating_sub(HISTORY);
    let line = |e: &Event| json!({"at": clock::text(e.at_us), "from": e.from, "to": e.to, "by": e.actor, "reason": e.reason});
    events.iter().skip(skipped).map(line).collect()
}

/// What a queue means for jobs that wait at it: a sentence, and what would free them.
async fn queue(ops: &Ops, id: QueueId) -> Result<(String, String), OpsError> {
    let queues = ops.queues().await?;
    let Some(q) = queues.by_id.get(&id) else { return Ok((format!("queue {id} does not exist any more"), String::new())) };
    if let Some(free) = closed(q) {
        return Ok((format!("queue {} is {}", q.name, q.state), free));
    }
    // A machine's hold says nothing of a job that waits for any.
    if let Some(h) = queues.holds(id).find(|h| h.node == panda_store::query::hold::EVERY_NODE) {
        return Ok(crate::hold::sentences(h, &q.name));
    }
    let now = ops.now().0;
    Ok(match seen::last(ops, id).await? {
        None => (format!("no pilot of queue {} was seen yet", q.name), format!("a pilot of queue {}; `panda up` brings its own", q.name)),
        Some(at) if (now - at) / 1_000_000 > QUIET_S => (
            format!("the last pilot of queue {} was seen at {}", q.name, clock::text(at)),
            format!("a pilot of queue {}; look at its workers", q.name),
        ),
        Some(at) => (format!("a pilot of queue {} was seen at {}", q.name, clock::text(at)), "a free slot".into()),
    })
}

fn closed(q: &QueueRow) -> Option<String> {
    matches!(q.state.as_str(), "offline" | "paused").then(|| format!("`panda queue set {} state=online`", q.name))
}

#[cfg(test)]
#[path = "why/reasons_tests.rs"]
mod reasons_tests;
